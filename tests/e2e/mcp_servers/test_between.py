"""What happens in between, and others who sign in at the same time."""

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Meet
from tests.e2e.person import decide, says
from tests.e2e.processes import wait_until

from .signing_in import PASTED, Place, connect, failed_page, reach_relay


def test_another_project_is_opened_and_the_instance_disposed(
    meet: Meet, place: Place, tmp_path: Path
) -> None:
    """Every open project is connected then, for each has connections of its own."""
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "any")
    code = dialog.pairing_code
    page = dialog.follow()
    place.opencode.get(f"/provider/auth?directory={tmp_path}")
    assert place.status("any", str(tmp_path)) in {"needs_auth", "connected"}
    place.opencode.dispose()

    decide(reach_relay(alice, page), "Allow", code)
    dialog.closes_connected()
    place.signed_in(alice, "any")
    assert place.status("any", str(tmp_path)) == "connected"


def test_two_people_and_two_servers_crosswise(meet: Meet, place: Place) -> None:
    """opencode remembers one login a provider, of which this is one for all servers."""
    alice, bob = meet("alice"), meet("bob")
    hers = connect(alice, place.opencode.url, "any")
    his = connect(bob, place.opencode.url, "other")
    her_code, his_code = hers.pairing_code, his.pairing_code
    her_page, his_page = hers.follow(), his.follow()

    decide(reach_relay(bob, his_page), "Allow", his_code)
    place.signed_in(bob, "other")
    place.never_signed_in(alice, "any")
    decide(reach_relay(alice, her_page), "Allow", her_code)
    place.signed_in(alice, "any")
    place.signed_in(bob, "other")
    expect(hers.box).to_have_count(0)
    expect(his.box).to_have_count(0)


def test_two_people_at_one_server(meet: Meet, place: Place) -> None:
    """opencode keeps one account of a server: the last that is finished."""
    alice, bob = meet("alice"), meet("bob")
    hers = connect(alice, place.opencode.url, "any")
    his = connect(bob, place.opencode.url, "any")
    her_code, his_code = hers.pairing_code, his.pairing_code
    her_page, his_page = hers.follow(), his.follow()

    decide(reach_relay(bob, his_page), "Allow", his_code)
    says(his_page, "Sign-in allowed")
    place.signed_in(bob, "any")
    decide(reach_relay(alice, her_page), "Allow", her_code)
    says(her_page, "Sign-in allowed")
    wait_until(lambda: place.tokens_of(alice, "any"), "she is given tokens")
    place.signed_in(alice, "any")
    expect(hers.box).to_have_count(0)
    expect(his.box).to_have_count(0)


def test_two_people_paste_crosswise(meet: Meet, place: Place) -> None:
    alice, bob = meet("alice"), meet("bob")
    hers = connect(alice, place.opencode.url, "any", PASTED)
    his = connect(bob, place.opencode.url, "other", PASTED)
    her_page, his_page = failed_page(alice, hers.follow()), failed_page(bob, his.follow())

    hers.paste(her_page)
    place.signed_in(alice, "any")
    place.never_signed_in(bob, "other")
    his.paste(his_page)
    place.signed_in(bob, "other")
    expect(hers.box).to_have_count(0)
    expect(his.box).to_have_count(0)


def test_opencode_is_restarted(meet: Meet, place: Place) -> None:
    """What was under way is over, and the next sign-in works."""
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "any")
    page = dialog.follow()
    place.served.restart()
    decide(reach_relay(alice, page), "Allow", "ABCD-EFGH")
    place.never_signed_in(alice, "any")

    again = connect(alice, place.opencode.url, "any")
    decide(reach_relay(alice, again.follow()), "Allow", again.pairing_code)
    again.closes_connected()
    wait_until(lambda: place.status("any") == "connected", "connected")
    place.signed_in(alice, "any")
