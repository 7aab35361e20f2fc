"""What an organisation sets by policy. Needs Chromium's policy folder, which is root's."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import EXTENSION, LOCAL, STATE, Chromium, Launch, Recorder, id_of, status
from .test_options import NO_TLS, OFF

POLICIES = Path("/etc/chromium/policies/managed")
QUERY = f"code=c&state={STATE}"
ORGANISATION = "Your organisation has set this."
WRONG = (
    f"Not active: the address that your organisation has set cannot be used. {NO_TLS} "
    "Tell whoever looks after this browser."
)


class Policy:
    """The policy of one extension: no other browser on this machine has it."""

    def __init__(self, extension: Path) -> None:
        self._id = id_of(extension)
        self._file = POLICIES / f"{self._id}.json"

    def set(self, relay: str) -> None:
        policy = {"3rdparty": {"extensions": {self._id: {"relay": relay}}}}
        self._file.write_text(json.dumps(policy))

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    """A copy, which has an id of its own."""
    return Path(shutil.copytree(EXTENSION, tmp_path / "extension"))


@pytest.fixture
def policy(extension: Path) -> Iterator[Policy]:
    made = [folder for folder in (POLICIES, *POLICIES.parents) if not folder.exists()]
    try:
        POLICIES.mkdir(parents=True, exist_ok=True)
    except PermissionError:
        pytest.skip(f"{POLICIES} cannot be made here")
    if not os.access(POLICIES, os.W_OK):
        pytest.skip(f"{POLICIES} cannot be written here")
    policy = Policy(extension)
    yield policy
    policy.remove()
    for folder in made:
        if not any(folder.iterdir()):
            folder.rmdir()


def visit(chromium: Chromium) -> Page:
    page = chromium.context.new_page()
    page.goto(f"{LOCAL}?{QUERY}", wait_until="commit")
    return page


def test_extension_policy_stands_above_the_option(
    launch: Launch, tmp_path: Path, extension: Path, policy: Policy, network: Recorder
) -> None:
    profile = tmp_path / "profile"
    with launch(profile, extension) as chromium:
        chromium.set("https://option.example")

    policy.set(network.relay)
    with launch(profile, extension) as chromium:
        options = chromium.options()
        expect(status(options)).to_contain_text(f"carried to {network.relay}. {ORGANISATION}")
        expect(options.get_by_label("Your relay’s address")).to_be_hidden()
        expect(options.get_by_role("button")).to_be_hidden()
        visit(chromium).wait_for_url(f"{network.relay}/auth/callback?{QUERY}")

        # Removed while the browser runs: the person's own choice counts again.
        policy.remove()
        expect(status(options)).to_contain_text("carried to https://option.example.")
        expect(status(options)).not_to_contain_text(ORGANISATION)
        expect(options.get_by_label("Your relay’s address")).to_have_value("https://option.example")


def test_extension_policy_holds_at_once_after_a_restart_and_ends_when_removed(
    launch: Launch, tmp_path: Path, extension: Path, policy: Policy, network: Recorder
) -> None:
    profile = tmp_path / "profile"
    policy.set(network.relay)
    with launch(profile, extension) as chromium:
        expect(status(chromium.options())).to_contain_text("Active")
        opened = [page.url for page in chromium.context.pages]
        assert sum("options.html" in url for url in opened) == 1  # this test's own, no other
    with launch(profile, extension) as chromium:
        visit(chromium).wait_for_url(f"{network.relay}/auth/callback?{QUERY}")
    policy.remove()
    with launch(profile, extension) as chromium:
        options = chromium.options()
        expect(status(options)).to_have_text(OFF)
        expect(options.get_by_label("Your relay’s address")).to_be_editable()
        assert visit(chromium).url.startswith(LOCAL)


@pytest.mark.parametrize(
    ("relay", "sentence"),
    [
        ("", "Not active: your organisation has switched it off."),
        (
            "http://relay.example.com",
            WRONG,
        ),
    ],
    ids=["empty", "wrong"],
)
def test_extension_policy_that_names_no_relay_switches_it_off(
    launch: Launch,
    tmp_path: Path,
    extension: Path,
    policy: Policy,
    relay: str,
    sentence: str,
) -> None:
    """It fails closed: the option does not take its place."""
    with launch(tmp_path / "profile", extension) as chromium:
        chromium.set("https://option.example")
    policy.set(relay)
    with launch(tmp_path / "profile", extension) as chromium:
        options = chromium.options()
        expect(status(options)).to_have_text(sentence)
        expect(options.get_by_role("button")).to_be_hidden()
        page = visit(chromium)
        page.wait_for_load_state()
        assert page.url.startswith(LOCAL)
