"""OAuth without OpenID Connect (RFC 8414), and a relay whose code is typed into opencode."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Meet
from tests.e2e.idp import Idp, identity_provider
from tests.e2e.outside import Outside, outside
from tests.e2e.person import says
from tests.e2e.proxies import Certificate
from tests.e2e.relays import RELAY_HOST, Relay, relay_at
from tests.support.ports import free_port

from .api import REPLY, api
from .conftest import Open
from .world import CALLBACK, CLIENT_ID, NAMES, PROVIDERS, SSO, SSO_API, WORK

METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture
def plain(world: Path, certificate: Certificate) -> Iterator[Idp]:
    with identity_provider(
        free_port(),
        [CALLBACK],
        world / "plain",
        certificate,
        host=SSO,
        client_id=CLIENT_ID,
        metadata=METADATA,
    ) as idp:
        yield idp


@pytest.fixture
def asking_relay(world: Path) -> Iterator[tuple[Relay, int]]:
    port, home = free_port(), world / "gateways-asking-relay"
    public = f"https://{RELAY_HOST}"
    with relay_at(public, port, home, confirmation="completion_code") as relay:
        yield relay, port


@pytest.fixture
def plain_hosts(plain: Idp, asking_relay: tuple[Relay, int]) -> Iterator[dict[str, int]]:
    def issued(token: str) -> bool:
        return any(one["access_token"] == token for one in plain.events("token"))

    with api(issued) as work:
        yield {**plain.outside.hosts, RELAY_HOST: asking_relay[1], SSO_API: work}


@pytest.fixture
def beyond(certificate: Certificate, plain_hosts: dict[str, int]) -> Iterator[Outside]:
    with outside(certificate, plain_hosts) as proxy:
        yield proxy


def test_signed_in_and_refreshed(
    meet: Meet,
    open_place: Open,
    plain: Idp,
    plain_hosts: dict[str, int],
    asking_relay: tuple[Relay, int],
) -> None:
    providers = [{**PROVIDERS[0], "scope": "api"}]  # no openid: there is no id token
    told = {**asking_relay[0].options, "providers": providers}
    with open_place("gateways-plain", plain_hosts, **told) as place:
        alice = meet("alice")
        dialog = place.connect(alice)
        page = alice.reach_relay(dialog.follow())
        says(page, "Type this code into the program")
        code = page.locator("code").inner_text()
        dialog.refuses("0000-0000" if code != "0000-0000" else "1111-1111")
        assert place.opencode.account(WORK) is None
        dialog.paste(code)
        dialog.closes_connected(NAMES[WORK])

        assert place.ask() == REPLY
        place.expire()
        assert place.ask() == REPLY
        assert "id_token" not in plain.tokens_of(alice.name)[0]
        granted = [one["grant_type"] for one in plain.tokens_of(alice.name)]
        assert granted == ["authorization_code", "refresh_token"]
        assert METADATA in {one.path for one in place.sent_to(SSO)}
