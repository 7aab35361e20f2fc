"""`opencode-relay doctor --mcp`: what it says of real MCP servers before anybody signs in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.served import run_here

from .mcp import McpServer, fastmcp_server, mcp_server
from .outside import LOOPBACK, outside
from .proxies import make_certificate
from .relays import RELAY_HOST, relay_at

RELAY = f"https://{RELAY_HOST}"
REDIRECT_URI = f"{RELAY}/auth/callback"
LOCALHOST = "http://localhost:1455/auth/callback"
DELETED = "The client that was registered there is deleted again."
Found = dict[str, tuple[bool | None, str]]
# Of its last rows, in their order.
REGISTRATION, PAGE = "registration", "its login page"
ROWS = (REGISTRATION, PAGE, f"{REGISTRATION} with localhost", f"{PAGE} with localhost")


class Doctor:
    def __init__(self, relay_port: int, env: dict[str, str]) -> None:
        self.relay_port = relay_port
        self._env = env
        self.status = -1

    def rows(self, server: McpServer, *relay: str) -> Found:
        done = run_here("doctor", *relay, "--mcp", server.url, "--json", **self._env)
        self.status = done.returncode
        rows = json.loads(done.stdout)["checks"]
        return {row["check"]: (row["ok"], row["seen"]) for row in rows}


@pytest.fixture(scope="module")
def doctor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doctor]:
    """It reaches a relay on https as if from elsewhere."""
    home, port = tmp_path_factory.mktemp("mcp-doctor"), free_port()
    certificate = make_certificate(home, [RELAY_HOST])
    relay = relay_at(RELAY, port, home / "relay")
    with relay, outside(certificate, {RELAY_HOST: port}) as proxy:
        trusted = {"SSL_CERT_FILE": f"{certificate.chain}", "NO_PROXY": LOOPBACK}
        yield Doctor(port, {"HTTPS_PROXY": proxy.url, **trusted})


@pytest.fixture
def look(doctor: Doctor, tmp_path: Path) -> Callable[..., tuple[Found, McpServer]]:
    def look(**settings: str) -> tuple[Found, McpServer]:
        with mcp_server(free_port(), tmp_path / "mcp", **settings) as server:
            return doctor.rows(server, RELAY), server

    return look


def last(found: Found) -> dict[str, bool | None]:
    return {name: found[name][0] for name in ROWS if name in found}


Look = Callable[..., tuple[Found, McpServer]]


def test_a_server_that_takes_the_relay(doctor: Doctor, look: Look) -> None:
    found, server = look()
    assert {ok for ok, _ in found.values()} == {True}
    assert doctor.status == 0
    assert last(found) == {REGISTRATION: True, PAGE: True}
    assert found["answers as a relay"][1] == f"its redirect URI is {REDIRECT_URI}"
    assert DELETED in found[PAGE][1]
    [registered], [deleted] = server.events("registration"), server.events("deletion")
    assert registered["token_endpoint_auth_method"] == "none"
    assert (registered["redirect_uris"], deleted["client_id"]) == (
        [REDIRECT_URI],
        registered["client_id"],
    )
    [asked] = server.events("authorization")
    assert (asked["redirect_uri"], asked["resource"]) == (REDIRECT_URI, server.url)


def test_an_announced_iss_is_told(look: Look) -> None:
    found, _ = look(iss="missing")
    assert found["authorization server metadata"] == (True, "registers clients, sends iss")


def test_one_that_registers_loopback_alone(doctor: Doctor, look: Look) -> None:
    found, server = look(registration="loopback")
    assert last(found) == dict(zip(ROWS, (False, None, True, True), strict=True))
    assert doctor.status == 1
    assert REDIRECT_URI in found[REGISTRATION][1]
    assert "invalid_client_metadata: redirect_uris: this host" in found[REGISTRATION][1]
    assert "by pasting" in found[ROWS[3]][1]
    assert [one["redirect_uris"] for one in server.events("registration")] == [[LOCALHOST]]
    assert len(server.events("deletion")) == 1


def test_one_that_refuses_the_redirect_uri_at_its_login_page_only(look: Look) -> None:
    found, server = look(authorize="loopback")
    assert last(found) == dict(zip(ROWS, (True, False, True, True), strict=True))
    assert f"{REDIRECT_URI} (400: This redirect URI is not allowed)" in found[PAGE][1]
    assert DELETED in found[PAGE][1]
    assert len(server.events("registration")) == len(server.events("deletion")) == 2


def test_one_that_registers_nobody(doctor: Doctor, look: Look) -> None:
    found, _ = look(registration="none")
    assert last(found) == {REGISTRATION: None}
    assert doctor.status == 3
    assert REDIRECT_URI in found[REGISTRATION][1]
    assert "clientId" in found[REGISTRATION][1]


def test_one_that_fetches_the_relays_document(doctor: Doctor, look: Look) -> None:
    found, server = look(registration="none", documents=json.dumps({RELAY_HOST: doctor.relay_port}))
    assert last(found) == {REGISTRATION: True, PAGE: True}
    [fetched] = server.events("document")
    assert fetched["id"] == fetched["document"]["client_id"] == f"{RELAY}/oauth/client"
    assert "registered" not in found[PAGE][1]


def test_one_that_cannot_fetch_the_relays_document(look: Look) -> None:
    found, _ = look(registration="none", documents="{}")
    assert last(found) == {REGISTRATION: True, PAGE: False, ROWS[2]: None}
    assert "invalid_client" in found[PAGE][1]


def test_one_that_wants_no_sign_in(doctor: Doctor, look: Look) -> None:
    found, _ = look(oauth="no")
    assert list(found)[-1] == "wants a sign-in"
    assert "nothing to sign in to" in found["wants a sign-in"][1]
    assert doctor.status == 0


def test_without_a_relay_it_looks_at_the_way_by_localhost(doctor: Doctor, tmp_path: Path) -> None:
    with mcp_server(free_port(), tmp_path / "mcp", registration="loopback") as server:
        found = doctor.rows(server)
    assert last(found) == {ROWS[2]: True, ROWS[3]: True}
    assert "answers as a relay" not in found


def test_fastmcps_server(doctor: Doctor, tmp_path: Path) -> None:
    """It registers without a way to delete, and goes on to its login with a redirect."""
    with fastmcp_server(free_port(), tmp_path / "fastmcp") as server:
        found = doctor.rows(server, RELAY)
    assert last(found) == {REGISTRATION: True, PAGE: True}
    assert "sends the person on to 127.0.0.1" in found[PAGE][1]
    assert "“opencode-relay doctor” stays registered" in found[PAGE][1]
    [registered] = server.events("registration")
    assert registered["token_endpoint_auth_method"] == "client_secret_post"  # no other is offered
