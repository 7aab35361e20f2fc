"""Two gateways, each behind an identity provider of its own, and an opencode that signs in at both.

`sso` is oidc-provider, `people` canaille. Both, the relay, the gateways' APIs and GitLab have
addresses beyond this machine, reached through a proxy that notes what opencode sends (outside.py).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.idp import Idp, identity_provider
from tests.e2e.opencode import opencode
from tests.e2e.outside import Outside, outside
from tests.e2e.processes import running
from tests.e2e.proxies import Certificate, make_certificate
from tests.e2e.relays import RELAY_HOST, Relay, relay_at
from tests.support.ports import free_port

from .api import api
from .world import (
    CALLBACK,
    CLIENT_ID,
    CONFIG,
    GITLAB,
    HOSTS,
    PEOPLE,
    PEOPLE_API,
    PROVIDERS,
    SSO,
    SSO_API,
    Place,
)

OF_OPENCODE = "1d89f9fdb23ee96d4e603201f6861dab6e143c5c3c00469a018a2d94bdc03d4e"
Open = Callable[..., AbstractContextManager[Place]]


@pytest.fixture(scope="package")
def certificate(world: Path) -> Certificate:
    return make_certificate(world / "gateways", HOSTS)


@pytest.fixture(scope="package")
def sso(world: Path, certificate: Certificate) -> Iterator[Idp]:
    with identity_provider(
        free_port(), [CALLBACK], world / "sso", certificate, host=SSO, client_id=CLIENT_ID
    ) as idp:
        yield idp


@pytest.fixture(scope="package")
def gitlab(world: Path, certificate: Certificate) -> Iterator[Idp]:
    """GitLab's OAuth as far as it matters: it knows opencode's application by its one address."""
    with identity_provider(
        free_port(),
        ["http://127.0.0.1:8080/callback"],
        world / "gitlab",
        certificate,
        host=GITLAB,
        client_id=OF_OPENCODE,
    ) as idp:
        yield idp


@pytest.fixture(scope="package")
def people(world: Path) -> Iterator[int]:
    """Canaille, on this port."""
    port, home = free_port(), world / "people"
    with running(
        [sys.executable, str(Path(__file__).with_name("canaille_idp.py"))],
        home=home,
        log=home.with_suffix(".log"),
        ready=f"http://127.0.0.1:{port}/.well-known/openid-configuration",
        env={"PORT": f"{port}", "HOST": PEOPLE, "CLIENT_ID": CLIENT_ID, "REDIRECT_URI": CALLBACK},
    ):
        yield port


@pytest.fixture(scope="package")
def relay_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def relay(world: Path, relay_port: int) -> Iterator[Relay]:
    with relay_at(f"https://{RELAY_HOST}", relay_port, world / "gateways-relay") as relay:
        yield relay


@pytest.fixture(scope="package")
def hosts(sso: Idp, gitlab: Idp, people: int, relay_port: int) -> Iterator[dict[str, int]]:
    def issued(token: str) -> bool:
        return any(one["access_token"] == token for one in sso.events("token"))

    def known(token: str) -> bool:
        url = f"http://127.0.0.1:{people}/oauth/userinfo"
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).is_success

    with api(issued) as work, api(known) as other:
        yield {
            **sso.outside.hosts,
            **gitlab.outside.hosts,
            PEOPLE: people,
            RELAY_HOST: relay_port,
            SSO_API: work,
            PEOPLE_API: other,
        }


@pytest.fixture(scope="package")
def open_place(
    world: Path,
    plugin: Path,
    template: Path,
    certificate: Certificate,
    hosts: dict[str, int],
    relay: Relay,
) -> Open:
    @contextmanager
    def open_place(
        name: str, at: dict[str, int] | None = None, **options: object
    ) -> Iterator[Place]:
        options = {**relay.options, "providers": PROVIDERS, "gitlab": True, **options}
        with (
            outside(certificate, at or hosts) as left,
            opencode(
                world / name, plugin, options, template, outside=left, config=CONFIG
            ) as served,
        ):
            yield Place(served, left)

    return open_place


@pytest.fixture(scope="package")
def shared_place(open_place: Open) -> Iterator[Place]:
    with open_place("gateways-opencode") as place:
        yield place


@pytest.fixture
def place(shared_place: Place) -> Iterator[Place]:
    shared_place.left.sent.clear()
    yield shared_place
    shared_place.opencode.forget("work", "other", "gitlab")


@pytest.fixture
def beyond(certificate: Certificate, hosts: dict[str, int]) -> Iterator[Outside]:
    with outside(certificate, hosts) as proxy:
        yield proxy
