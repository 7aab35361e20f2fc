"""GitLab, whose tokens opencode uses and refreshes itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.e2e.conftest import Meet
from tests.e2e.idp import Idp, identity_provider
from tests.e2e.opencode import opencode
from tests.e2e.outside import Outside, outside
from tests.e2e.person import Person, decide, says
from tests.e2e.processes import wait_until
from tests.e2e.proxies import Certificate
from tests.e2e.relays import Relay
from tests.support.ports import free_port

from .world import CALLBACK, GITLAB, Place

OWN = "an-application-of-ones-own"
FAILED = re.compile(r"^http://127\.0\.0\.1:8080/callback\?")


def stored(place: Place, person: Person, idp: Idp) -> bool:
    """Whether opencode has the newest token of this person, and where to refresh it."""
    account = place.opencode.account("gitlab") or {}
    tokens = idp.tokens_of(person.name)
    return (
        bool(tokens)
        and account.get("access") == tokens[-1]["access_token"]
        and account["enterpriseUrl"] == f"https://{GITLAB}"
    )


def test_with_opencodes_application_by_paste(meet: Meet, place: Place, gitlab: Idp) -> None:
    alice = meet("alice")
    dialog = alice.find(place.opencode.url, "GitLab")
    dialog.box.get_by_role("button", name="paste the failed page's address").click()
    page = dialog.follow()
    alice.sign_in(page)
    with page.expect_request(FAILED) as request:
        page.get_by_role("button", name="Continue").click()
    dialog.paste(request.value.url)
    dialog.closes_connected("GitLab")
    assert stored(place, alice, gitlab)


@pytest.fixture
def own_gitlab(world: Path, certificate: Certificate) -> Iterator[Idp]:
    with identity_provider(
        free_port(), [CALLBACK], world / "own-gitlab", certificate, host=GITLAB, client_id=OWN
    ) as idp:
        yield idp


@pytest.fixture
def own_hosts(hosts: dict[str, int], own_gitlab: Idp) -> dict[str, int]:
    return {**hosts, **own_gitlab.outside.hosts}


@pytest.fixture
def own_place(
    world: Path,
    plugin: Path,
    template: Path,
    certificate: Certificate,
    own_hosts: dict[str, int],
    relay: Relay,
) -> Iterator[Place]:
    options = {**relay.options, "gitlab": True}
    config = {"provider": {"gitlab": {"name": "GitLab", "models": {"duo": {}}}}}
    with (
        outside(certificate, own_hosts) as left,
        opencode(
            world / "own-gitlab-opencode",
            plugin,
            options,
            template,
            outside=left,
            config=config,
            environment={"GITLAB_OAUTH_CLIENT_ID": OWN},
        ) as served,
    ):
        yield Place(served, left)


class TestOwnApplication:
    @pytest.fixture
    def beyond(self, certificate: Certificate, own_hosts: dict[str, int]) -> Iterator[Outside]:
        with outside(certificate, own_hosts) as proxy:
            yield proxy

    def test_through_the_relay_and_refreshed_by_opencode(
        self, meet: Meet, own_place: Place, own_gitlab: Idp
    ) -> None:
        alice = meet("alice")
        dialog = alice.find(own_place.opencode.url, "GitLab")
        dialog.box.get_by_role("button", name="via relay").click()
        page = alice.reach_relay(dialog.follow())
        decide(page, "Allow", dialog.pairing_code)
        says(page, "Sign-in allowed")
        dialog.closes_connected("GitLab")
        assert stored(own_place, alice, own_gitlab)

        # opencode's own loader refreshes, as the client that the code was given to.
        own_place.expire("gitlab")
        own_place.opencode.dispose()
        own_place.opencode.get("/provider")
        wait_until(lambda: len(own_gitlab.tokens_of(alice.name)) > 1, "opencode refreshes")
        wait_until(lambda: stored(own_place, alice, own_gitlab), "opencode stores what it got")
        forms = [parse_qs(one.body) for one in own_place.sent_to(GITLAB) if one.method == "POST"]
        assert [one["grant_type"][0] for one in forms] == ["authorization_code", "refresh_token"]
        assert {one["client_id"][0] for one in forms} == {OWN}
