"""Each kind of MCP server, signed in to from opencode's web page."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Meet
from tests.e2e.person import decide, says
from tests.e2e.processes import wait_until
from tests.e2e.relays import RELAY_HOST

from .signing_in import (
    PASTED,
    Place,
    connect,
    failed_page,
    names,
    reach_relay,
)


@pytest.mark.parametrize("name", ["any", "iss", "document", "secret", "fast"])
def test_pairing_code(meet: Meet, place: Place, name: str) -> None:
    alice = meet("alice")
    server = place.servers[name]
    dialog = connect(alice, place.opencode.url, name)
    page = reach_relay(alice, dialog.follow())
    names(page, name, server)
    decide(page, "Allow", dialog.pairing_code)
    says(page, "Sign-in allowed")

    dialog.closes_connected()
    assert place.status(name) == "connected"
    place.signed_in(alice, name)
    entry = place.entry(name)
    # The client that the configuration names is left out.
    assert set(entry) == {"tokens", "serverUrl"} | ({"clientInfo"} if name != "secret" else set())
    assert entry["serverUrl"] == server.url
    if name == "document":
        assert entry["clientInfo"]["clientId"] == f"https://{RELAY_HOST}/oauth/client"


def test_paste_where_only_localhost_may_be_registered(meet: Meet, place: Place) -> None:
    """The first way asks for it by itself: the server said no when it was asked to register."""
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "loopback")
    dialog.paste(failed_page(alice, dialog.follow()))
    dialog.closes_connected()
    place.signed_in(alice, "loopback")


def test_paste_where_the_relay_is_refused_too_late(meet: Meet, place: Place) -> None:
    alice = meet("alice")
    refused = connect(alice, place.opencode.url, "late").follow()
    expect(refused.get_by_role("heading")).to_have_text("This redirect URI is not allowed")

    dialog = connect(alice, place.opencode.url, "late", PASTED)
    dialog.paste(failed_page(alice, dialog.follow()))
    dialog.closes_connected()
    place.signed_in(alice, "late")


@pytest.mark.parametrize("name", ["wrong-iss", "missing-iss"])
def test_answer_of_another_issuer(meet: Meet, place: Place, name: str) -> None:
    """RFC 9207: the relay refuses it, and the plugin does where it goes past the relay."""
    alice = meet("alice")
    page = connect(alice, place.opencode.url, name).follow()
    says(reach_relay(alice, page), "This answer came from the wrong place")

    dialog = connect(alice, place.opencode.url, name, PASTED)
    dialog.refuses(failed_page(alice, dialog.follow()))
    place.opencode.until_log_says("it is not from http://127.0.0.1")
    place.never_signed_in(alice, name)
    assert place.status(name) == "needs_auth"


def test_token_that_expires_is_refreshed_by_opencode(meet: Meet, place: Place) -> None:
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "short")
    page = reach_relay(alice, dialog.follow())
    decide(page, "Allow", dialog.pairing_code)
    dialog.closes_connected()

    def refreshed() -> bool:
        place.opencode.connect("short")
        return "refresh_token" in {one["grant_type"] for one in place.tokens_of(alice, "short")}

    wait_until(refreshed, "opencode refreshes the token")
    place.signed_in(alice, "short")
    before = len(place.tokens_of(alice, "short"))

    place.served.restart()
    wait_until(lambda: place.status("short") == "connected", "connected after a restart")
    assert len(place.tokens_of(alice, "short")) >= before
