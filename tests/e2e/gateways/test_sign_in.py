"""Signing in at gateways of one's own, whose models opencode then asks."""

from urllib.parse import parse_qs

from tests.e2e.conftest import Meet
from tests.e2e.idp import Idp
from tests.e2e.person import Dialog, Person, decide, says
from tests.e2e.relays import RELAY_HOST, Relay

from .api import PATH, REPLY
from .world import NAMES, OTHER, PEOPLE, PEOPLE_API, SSO, SSO_API, WORK, Place


def sign_in_at_work(person: Person, dialog: Dialog) -> None:
    code = dialog.pairing_code
    page = person.reach_relay(dialog.follow())
    decide(page, "Allow", code)
    says(page, "Sign-in allowed")
    dialog.closes_connected(NAMES[WORK])


def sign_in_with_canaille(dialog: Dialog) -> None:
    code = dialog.pairing_code
    page = dialog.follow()
    page.locator("[name=login]").fill("carol")
    page.get_by_role("button", name="Continue").click()
    page.locator("[name=password]").fill("any")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Accept").click()
    page.wait_for_url("**/auth/callback?**")
    decide(page, "Allow", code)
    says(page, "Sign-in allowed")
    dialog.closes_connected(NAMES[OTHER])


def test_tokens_go_to_the_gateway_and_its_identity_provider_only(
    meet: Meet, place: Place, sso: Idp, relay: Relay
) -> None:
    alice = meet("alice")
    sign_in_at_work(alice, place.connect(alice))
    assert place.ask() == REPLY
    place.expire()
    assert place.ask() == REPLY

    first, second = sso.tokens_of(alice.name)
    for issued in (first, second):
        assert place.hosts_given(issued["access_token"]) == {SSO_API}
        assert place.hosts_given(issued["id_token"]) == set()
        assert place.hosts_given(issued["refresh_token"]) <= {SSO}
    asked = place.sent_to(SSO_API)
    assert {one.path for one in asked} == {PATH}
    assert {one.bearer for one in asked} == {first["access_token"], second["access_token"]}

    # What they were asked for with.
    forms = [parse_qs(one.body) for one in place.sent_to(SSO) if one.method == "POST"]
    assert [one["grant_type"][0] for one in forms] == ["authorization_code", "refresh_token"]
    assert first["verifier_sent"]
    assert forms[1]["refresh_token"] == [first["refresh_token"]]
    for name in ("code", "code_verifier"):
        (secret,) = forms[0][name]
        assert place.hosts_given(secret) == {SSO}
    assert place.hosts_given(relay.options["key"]) == {RELAY_HOST}

    # And nothing of it is anybody else's: not another provider's, nor another host's.
    assert {one.host for one in place.left.sent} - {PEOPLE} == {SSO, SSO_API, RELAY_HOST}
    assert place.left.refused == []
    assert place.opencode.account(OTHER) is None
    assert place.opencode.account() is None


def test_two_gateways_at_once_finished_crosswise(meet: Meet, place: Place, sso: Idp) -> None:
    alice, carol = meet("alice"), meet("carol")
    hers, work = place.connect(carol, OTHER), place.connect(alice, WORK)
    sign_in_at_work(alice, work)
    # The other's dialog still waits: nobody has signed in there.
    assert hers.box.get_by_text("Waiting for authorization").is_visible()
    assert place.opencode.account(OTHER) is None
    sign_in_with_canaille(hers)

    assert place.ask(WORK) == REPLY
    assert place.ask(OTHER) == REPLY
    place.expire(OTHER)
    assert place.ask(OTHER) == REPLY
    mine, theirs = ({one.bearer for one in place.sent_to(host)} for host in (SSO_API, PEOPLE_API))
    assert mine == {sso.tokens_of(alice.name)[0]["access_token"]}
    assert len(theirs) == 2
    assert not mine & theirs
