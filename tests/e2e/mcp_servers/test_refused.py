"""Sign-ins that come to nothing, and by whom."""

from playwright.sync_api import expect

from tests.e2e.conftest import Meet
from tests.e2e.person import decide, says

from .signing_in import Place, connect, reach_relay


def test_declined_at_the_server(meet: Meet, place: Place) -> None:
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "other")
    reach_relay(alice, dialog.follow(), "Deny")
    dialog.fails()
    place.opencode.until_log_says("answered access_denied")
    place.never_signed_in(alice, "other")


def test_declined_at_the_relay(meet: Meet, place: Place) -> None:
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "other")
    page = reach_relay(alice, dialog.follow())
    page.get_by_role("button", name="Deny").click()
    dialog.fails()
    place.never_signed_in(alice, "other")


def test_link_without_the_code(meet: Meet, place: Place) -> None:
    """RFC 9700 section 4.7: a stranger's account must not end up in the victim's opencode."""
    victim, mallory = meet("victim"), meet("mallory")
    dialog = connect(victim, place.opencode.url, "other")
    page = reach_relay(mallory, mallory.open(dialog.link))
    code = dialog.pairing_code
    for guess in ("ABCD-EFGH", code[:-1] + ("0" if code[-1] != "0" else "1")):
        decide(page, "Allow", guess)
        expect(page.get_by_role("alert")).to_contain_text("not the code of this sign-in")

    page = reach_relay(victim, dialog.follow())
    decide(page, "Allow", code)
    says(page, "Sign-in allowed")
    dialog.closes_connected()
    place.signed_in(victim, "other")
    place.never_signed_in(mallory, "other")
