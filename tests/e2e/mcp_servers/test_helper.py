"""With a helper in the browser: localhost's answers are carried to the relay."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.helpers import chromium_with_extension
from tests.e2e.mcp import McpServer
from tests.e2e.opencode import opencode
from tests.e2e.outside import Outside
from tests.e2e.person import Person, decide, says
from tests.e2e.processes import Restartable
from tests.e2e.relays import Relay

from .signing_in import CARRIED, VIA_RELAY, Place, connect, reach_relay


@pytest.fixture(scope="module")
def carried_place(
    world: Path,
    plugin: Path,
    template: Path,
    https_relay: Relay,
    proxy: Outside,
    servers: dict[str, McpServer],
    configuration: dict[str, object],
) -> Iterator[Place]:
    """An opencode that is told of the helper."""
    options = {**https_relay.options, "catcher": True}
    home = world / "mcp-carried"
    with Restartable(
        lambda: opencode(home, plugin, options, template, outside=proxy, config=configuration)
    ) as served:
        yield Place(served, servers)


@pytest.mark.parametrize(("name", "way"), [("loopback", VIA_RELAY), ("late", CARRIED)])
def test_extension(
    browser: Browser,
    carried_place: Place,
    https_relay: Relay,
    proxy: Outside,
    tmp_path: Path,
    name: str,
    way: str,
) -> None:
    """By itself where only localhost could be registered, by a line of its own elsewhere."""
    context = chromium_with_extension(browser, tmp_path / "profile", https_relay.issuer, proxy)
    alice = Person(f"alice-extension-{name}", context)
    dialog = connect(alice, carried_place.opencode.url, name, way)
    page = reach_relay(alice, dialog.follow())
    decide(page, "Allow", dialog.pairing_code)
    says(page, "Sign-in allowed")
    dialog.closes_connected()
    carried_place.signed_in(alice, name)
    context.close()
