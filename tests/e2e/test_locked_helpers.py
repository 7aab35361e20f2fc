"""Only localhost's redirect URIs registered, as at OpenAI, and a helper in the person's browser."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opencode_relay.cli.catch import STATE_BEGINS
from playwright.sync_api import Browser, expect

from tests.support.ports import free_port

from .conftest import TIMEOUT, Meet, failed, leave_artifacts, numbers
from .helpers import HELPER, PASTE, TYPE, agree, catching, choose, chromium_with_extension, reads
from .idp import LOCALHOST, Idp
from .opencode import Opencode
from .outcome import never_signed_in, signed_in
from .outside import Outside
from .person import Person, decide, says
from .processes import HERE, wait_until
from .relays import RELAY, Relay
from .sites import Site, Sites

ENTER = "enter the code below"


@pytest.fixture
def beyond(locked_idp: Idp) -> Outside:
    return locked_idp.outside


@pytest.fixture
def carried_site(
    world: Path,
    plugin: Path,
    template: Path,
    locked_relay: Relay,
    carried_options: dict[str, object],
    locked_idp: Idp,
) -> Iterator[Site]:
    """Behind nginx, with delivery redirect, and counts on a helper."""
    home = world / "carried-site"
    home.mkdir()
    port = free_port()
    ports = {"nginx-auto": port}
    with Sites(home, ports, plugin, template, carried_options, locked_idp.outside) as sites:
        site = sites.at("nginx-auto")
        instance = locked_relay.options["key"].split("_")[1]
        url = f"--return-url={site.url}/auth/callback"
        subprocess.run(
            [RELAY, "instances", "update", instance, url, f"--data={locked_relay.data}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield site


@pytest.fixture
def equip(
    browser: Browser,
    locked_relay: Relay,
    beyond: Outside,
    world: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Meet]:
    """Make a person whose browser has the extension."""
    met: list[Person] = []

    def equip(name: str) -> Person:
        context = chromium_with_extension(browser, tmp_path / name, locked_relay.issuer, beyond)
        context.set_default_timeout(TIMEOUT)
        met.append(Person(f"{name}-{next(numbers)}", context))
        return met[-1]

    yield equip
    if request.node.stash.get(failed, default=False):
        leave_artifacts(met, world, HERE / "artifacts" / f"extension-{request.node.name}")
    for person in met:
        person.browser.close()


def test_catch_and_type_the_relays_code(
    meet: Meet, asking_instance: Opencode, locked_idp: Idp, asking_relay: Relay, tmp_path: Path
) -> None:
    alice = meet("alice")
    dialog = alice.connect(asking_instance.url)
    expect(dialog.box).to_contain_text(TYPE)
    dialog.refuses("0000-0000")  # nothing is held yet: no try is used up
    with catching(asking_relay.issuer, tmp_path / "terminal") as catcher:
        page = agree(alice, dialog.follow(), asking_relay.issuer)
        catcher.says("Passed on: an answer for this relay. Go on in the browser.")
        (issued,) = [one for one in locked_idp.events("code") if one["account"] == alice.name]
        assert issued["code"] not in catcher.terminal.read_text()
    says(page, "Type this code into the program")
    reads(page, "go back to the window where you began and type this code there")
    never_signed_in(alice, asking_instance, locked_idp)

    code = page.locator("code").inner_text()
    dialog.refuses("0000-0000" if code != "0000-0000" else "1111-1111")
    wait_until(lambda: asking_instance.log_says("4 tries left"), "the log counts the tries")
    dialog.paste(f" {code.lower().replace('-', '')} ")
    dialog.closes_connected()
    signed_in(alice, asking_instance, locked_idp)


def test_catch_and_type_opencodes_code(
    meet: Meet, carried_instance: Opencode, locked_idp: Idp, locked_relay: Relay, tmp_path: Path
) -> None:
    alice = meet("alice")
    dialog = choose(alice, carried_instance.url, HELPER)
    expect(dialog.box).to_contain_text(ENTER)
    with catching(locked_relay.issuer, tmp_path / "terminal"):
        page = agree(alice, dialog.follow(), locked_relay.issuer)
    says(page, "Allow this sign-in?")
    decide(page, "Allow", dialog.pairing_code)
    says(page, "Sign-in allowed")
    dialog.closes_connected()
    signed_in(alice, carried_instance, locked_idp)


def test_extension_and_type_opencodes_code(
    equip: Meet, carried_instance: Opencode, locked_idp: Idp, locked_relay: Relay
) -> None:
    alice = equip("alice")
    dialog = choose(alice, carried_instance.url, HELPER)
    expect(dialog.box).to_contain_text(ENTER)
    code = dialog.pairing_code
    page = agree(alice, dialog.follow(), locked_relay.issuer)
    says(page, "Allow this sign-in?")
    reads(page, "If you did not begin this sign-in yourself, press Deny.")
    expect(page.get_by_label("The code that")).to_be_visible()
    never_signed_in(alice, carried_instance, locked_idp)

    decide(page, "Allow", code)
    says(page, "Sign-in allowed")
    dialog.closes_connected()
    signed_in(alice, carried_instance, locked_idp)
    (issued,) = [one for one in locked_idp.events("code") if one["account"] == alice.name]
    assert issued["redirect_uri"] == LOCALHOST[0]


def test_extension_and_nothing_to_type_behind_nginx(
    equip: Meet, carried_site: Site, locked_idp: Idp
) -> None:
    alice = equip("alice")
    dialog = choose(alice, carried_site.url, HELPER)
    assert dialog.pairing_code == "none, nothing to type"
    page = alice.come_back(dialog.follow(), carried_site.url)
    says(page, "Signed in")
    dialog.closes_connected()
    signed_in(alice, carried_site.opencode, locked_idp)
    page.get_by_role("link", name="Back to opencode").click()
    expect(page.get_by_role("button", name="Settings")).to_be_visible()


def test_extension_and_catch_leave_a_local_codex_login_alone(
    equip: Meet, locked_instance: Opencode, locked_idp: Idp, locked_relay: Relay, tmp_path: Path
) -> None:
    """Its answer comes to whoever listens on localhost, here the catcher, which refuses it."""
    alice = equip("alice")
    link = alice.connect(locked_instance.url).link
    codex = httpx.URL(link).copy_set_param("state", secrets.token_hex(16))
    with catching(locked_relay.issuer, tmp_path / "terminal") as catcher:
        page = agree(alice, alice.open(str(codex)), "http://localhost:1455")
        catcher.says("Left alone: an answer that is not for this relay.")
        assert "Passed on" not in catcher.terminal.read_text()
    reads(page, "If another program on this machine waits for it, close the helper")
    never_signed_in(alice, locked_instance, locked_idp)


def test_extension_and_a_page_that_steers_the_browser(
    equip: Meet, meet: Meet, carried_instance: Opencode, locked_idp: Idp, locked_relay: Relay
) -> None:
    """Of a state of its own the relay knows nothing; of Alice's, it asks for her code."""
    alice, mallory = equip("alice"), meet("mallory")
    dialog = choose(alice, carried_instance.url, HELPER)
    hers = mallory.reach_localhost(mallory.open(dialog.link))
    forged = httpx.URL(hers).copy_set_param("state", f"{STATE_BEGINS}sImtpZCI6IjEifQ.e30.AA")

    page = alice.browser.new_page()
    steer = "to => { location.href = to }"
    page.evaluate(steer, str(forged))
    page.wait_for_url(f"{locked_relay.issuer}/auth/callback?**")
    expect(page.get_by_label("The code that")).to_have_count(0)

    page.evaluate(steer, hers)
    says(page, "Allow this sign-in?")
    decide(page, "Allow", "0000-0000")
    expect(page.get_by_role("alert")).to_contain_text("not the code of this sign-in")
    decide(page, "Deny")
    says(page, "Sign-in denied")
    never_signed_in(mallory, carried_instance, locked_idp)
    assert carried_instance.account() is None


def test_paste_stays_offered_to_whoever_has_no_helper(
    meet: Meet, carried_instance: Opencode, locked_idp: Idp
) -> None:
    alice = meet("alice")
    stranded = choose(alice, carried_instance.url, HELPER)
    address = alice.reach_localhost(stranded.follow())

    dialog = choose(alice, carried_instance.url, PASTE)
    expect(dialog.box).to_contain_text(PASTE)
    dialog.refuses(address)  # of the other way, whose code it would bypass
    dialog.paste(alice.reach_localhost(dialog.follow()))
    dialog.closes_connected()
    signed_in(alice, carried_instance, locked_idp)


@pytest.mark.parametrize("first", ["paste", "extension"])
def test_two_people_at_once_one_by_paste_one_by_extension(
    equip: Meet,
    meet: Meet,
    carried_instance: Opencode,
    locked_idp: Idp,
    locked_relay: Relay,
    first: str,
) -> None:
    alice, bob = equip("alice"), meet("bob")
    if first == "paste":
        his = choose(bob, carried_instance.url, PASTE)
        hers = choose(alice, carried_instance.url, HELPER)
    else:
        hers = choose(alice, carried_instance.url, HELPER)
        his = choose(bob, carried_instance.url, PASTE)
    code = hers.pairing_code
    page = agree(alice, hers.follow(), locked_relay.issuer)
    says(page, "Allow this sign-in?")

    his.paste(bob.reach_localhost(his.follow()))
    his.closes_connected()
    signed_in(bob, carried_instance, locked_idp)
    never_signed_in(alice, carried_instance, locked_idp)

    decide(page, "Allow", code)
    says(page, "Sign-in allowed")
    signed_in(alice, carried_instance, locked_idp)
    assert len(locked_idp.tokens_of(bob.name)) == 1
