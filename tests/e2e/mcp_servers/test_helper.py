"""With a helper in the browser: localhost's answers are carried to the relay."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import Meet
from tests.e2e.helpers import catching, chromium_with_extension
from tests.e2e.outside import Outside
from tests.e2e.person import Person, decide, says
from tests.e2e.relays import Relay

from .conftest import Open
from .signing_in import CARRIED, VIA_RELAY, Place, answer, connect, reach_relay


@pytest.fixture(scope="module")
def carried_place(open_place: Open) -> Iterator[Place]:
    """An opencode that is told of the helper."""
    with open_place("mcp-carried", catcher=True) as place:
        yield place


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


def test_catcher(meet: Meet, carried_place: Place, https_relay: Relay, tmp_path: Path) -> None:
    alice = meet("alice")
    dialog = connect(alice, carried_place.opencode.url, "loopback")
    with catching(https_relay.issuer, tmp_path / "terminal"):
        page = answer(alice, dialog.follow())
        page.wait_for_url(f"{https_relay.issuer}/auth/callback?**")
    decide(page, "Allow", dialog.pairing_code)
    says(page, "Sign-in allowed")
    dialog.closes_connected()
    carried_place.signed_in(alice, "loopback")
