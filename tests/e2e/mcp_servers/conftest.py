"""MCP servers of every kind that an opencode may have, all configured in one, and a relay on https.

Each test signs in with accounts of its own, so that none disturbs another's.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.mcp import McpServer, fastmcp_server, mcp_server
from tests.e2e.opencode import opencode
from tests.e2e.outside import Outside, outside
from tests.e2e.processes import Restartable
from tests.e2e.proxies import Certificate
from tests.e2e.relays import RELAY_HOST, Relay, relay_at
from tests.support.ports import free_port

from .signing_in import Place, needs_sign_in

Open = Callable[..., AbstractContextManager[Place]]

CALLBACK = f"https://{RELAY_HOST}/auth/callback"
SECRET = {
    "client_id": "opencode",
    "client_secret": "a-secret-for-tests",
    "redirect_uris": [CALLBACK],
    "token_endpoint_auth_method": "client_secret_post",
}
OAUTH = {"clientId": SECRET["client_id"], "clientSecret": SECRET["client_secret"]}
# By the name that opencode's configuration gives it: settings of mcp-server.mjs.
KINDS: dict[str, dict[str, str]] = {
    "any": {},
    "other": {},
    "iss": {"iss": "right"},
    "wrong-iss": {"iss": "wrong"},
    "missing-iss": {"iss": "missing"},
    "loopback": {"registration": "loopback"},
    "late": {"authorize": "loopback"},
    "secret": {"registration": "none", "client": json.dumps(SECRET)},
    "document": {"registration": "none"},
    "short": {"seconds": "2"},
}


@pytest.fixture(scope="package")
def relay_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def https_relay(world: Path, relay_port: int) -> Iterator[Relay]:
    public = f"https://{RELAY_HOST}"
    with relay_at(public, relay_port, world / "mcp-relay", registered=False) as relay:
        yield relay


@pytest.fixture(scope="package")
def proxy(certificate: Certificate, relay_port: int) -> Iterator[Outside]:
    with outside(certificate, {RELAY_HOST: relay_port}) as one:
        yield one


@pytest.fixture
def beyond(proxy: Outside) -> Outside:
    return proxy


@pytest.fixture(scope="package")
def servers(world: Path, relay_port: int) -> Iterator[dict[str, McpServer]]:
    documents = {"documents": json.dumps({RELAY_HOST: relay_port})}
    with ExitStack() as running:
        all_of_them = {
            name: running.enter_context(
                mcp_server(
                    free_port(),
                    world / f"mcp-{name}",
                    **settings,
                    **(documents if name == "document" else {}),
                )
            )
            for name, settings in KINDS.items()
        }
        fast = running.enter_context(fastmcp_server(free_port(), world / "mcp-fast"))
        yield {**all_of_them, "fast": fast}


@pytest.fixture(scope="package")
def configuration(servers: dict[str, McpServer]) -> dict[str, object]:
    """Of opencode.json."""
    mcp: dict[str, dict[str, object]] = {
        name: {"type": "remote", "url": server.url} for name, server in servers.items()
    }
    mcp["secret"]["oauth"] = OAUTH
    return {"mcp": mcp}


@pytest.fixture(scope="package")
def open_place(
    world: Path,
    plugin: Path,
    template: Path,
    https_relay: Relay,
    proxy: Outside,
    servers: dict[str, McpServer],
    configuration: dict[str, object],
) -> Open:
    @contextmanager
    def open_place(
        name: str, port: int | None = None, password: str = "", **options: object
    ) -> Iterator[Place]:
        home, told = world / name, {**https_relay.options, **options}
        at = port or free_port()
        with Restartable(
            lambda: opencode(
                home,
                plugin,
                told,
                template,
                outside=proxy,
                port=at,
                password=password,
                config=configuration,
            )
        ) as served:
            yield Place(served, servers)

    return open_place


@pytest.fixture(scope="package")
def shared_place(open_place: Open, servers: dict[str, McpServer]) -> Iterator[Place]:
    with open_place("mcp-opencode") as place:
        # opencode itself finds no way to sign in to the one that registers no client.
        needs_sign_in(place.opencode, set(servers) - {"document"})
        yield place


@pytest.fixture
def place(shared_place: Place) -> Place:
    """An opencode with all the servers."""
    return shared_place
