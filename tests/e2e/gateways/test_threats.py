"""Who has only a link, or somebody else's answer, gets nowhere with these sign-ins either."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Meet
from tests.e2e.idp import Idp
from tests.e2e.person import Dialog, decide, says
from tests.e2e.relays import RELAY, Relay
from tests.support.ports import free_port

from .conftest import Open
from .world import WORK, Place

NOT_THE_CODE = "not the code of this sign-in"


def test_a_link_is_not_enough(meet: Meet, place: Place, sso: Idp) -> None:
    """Neither to sign a stranger in here, nor for its sender to have a victim's account."""
    alice, mallory = meet("alice"), meet("mallory")
    dialog = place.connect(alice)
    code = dialog.pairing_code
    strange = mallory.reach_relay(mallory.open(dialog.link))
    assert code not in strange.content()
    decide(strange, "Allow", "0000-0000")
    expect(strange.get_by_role("alert")).to_contain_text(NOT_THE_CODE)

    # The right code, of another sign-in under way.
    other = place.connect(meet("bob")).pairing_code
    decide(strange, "Allow", other)
    expect(strange.get_by_role("alert")).to_contain_text(NOT_THE_CODE)
    assert place.opencode.account(WORK) is None
    assert sso.tokens_of(mallory.name) == []

    decide(alice.reach_relay(dialog.follow()), "Allow", code)
    dialog.closes_connected("Work gateway")
    account = place.opencode.account(WORK)
    assert account
    assert account["access"] == sso.tokens_of(alice.name)[0]["access_token"]
    decide(strange, "Allow", code)
    says(strange, "This sign-in is already over")


@pytest.fixture
def returning(open_place: Open, relay: Relay) -> Iterator[tuple[Place, str]]:
    """An opencode to whose own address the browser comes back, and that address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    update = [str(RELAY), "instances", "update", relay.options["key"].split("_")[1]]
    options = [f"--return-url={url}/auth/callback", f"--data={relay.data}"]
    subprocess.run([*update, *options], check=True, stdout=subprocess.DEVNULL)
    with open_place("gateways-returning", publicUrl=url, listen=f"127.0.0.1:{port}") as place:
        yield place, url


def go_on(dialog: Dialog) -> Page:
    """Follow the link: the listener has another port than opencode, so the person is asked."""
    page = dialog.follow()
    says(page, "Sign this opencode in?")
    expect(page.get_by_role("main")).to_contain_text("your account of Work SSO")
    page.get_by_role("link", name="Go on").click()
    return page


def test_an_answer_is_for_the_browser_that_began(
    meet: Meet, returning: tuple[Place, str], sso: Idp
) -> None:
    place, url = returning
    alice, mallory = meet("alice"), meet("mallory")
    dialog = place.connect(alice)
    back = alice.bring_back(go_on(dialog), url)

    says(mallory.open(dialog.link), "This link does not work")
    says(mallory.open(back), "Not the browser that began")
    go_on(place.connect(mallory))  # so that she has a cookie, of another value
    says(mallory.open(back), "Not the browser that began")
    assert place.opencode.account(WORK) is None
    assert sso.tokens_of(alice.name) == []

    says(alice.open(back), "Signed in")
    dialog.closes_connected("Work gateway")
    account = place.opencode.account(WORK)
    assert account
    assert account["access"] == sso.tokens_of(alice.name)[0]["access_token"]
    says(mallory.open(back), "This sign-in is over")
