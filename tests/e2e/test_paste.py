"""Signing in where only localhost's redirect URIs are registered, as at OpenAI: by paste."""

import httpx
import pytest
from opencode_relay.client import Client
from playwright.sync_api import expect

from .conftest import Meet
from .idp import Idp
from .opencode import Opencode
from .outcome import never_signed_in, signed_in
from .outside import Outside
from .person import Dialog, Person
from .processes import wait_until
from .relays import Relay

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 appendix B


@pytest.fixture
def beyond(locked_idp: Idp) -> Outside:
    return locked_idp.outside


def address_of(person: Person, dialog: Dialog) -> str:
    return person.reach_localhost(dialog.follow())


def test_paste_the_address_of_the_page_that_did_not_load(
    meet: Meet, locked_instance: Opencode, locked_idp: Idp, locked_relay: Relay
) -> None:
    alice = meet("alice")
    dialog = alice.connect(locked_instance.url)
    relays_own = httpx.URL(dialog.link).copy_set_param(
        "redirect_uri", f"{locked_relay.issuer}/auth/callback"
    )
    refused = locked_idp.outside.get(f"{relays_own}")
    assert refused.status_code == 400  # as OpenAI refuses it

    dialog.paste(address_of(alice, dialog))
    dialog.closes_connected()
    signed_in(alice, locked_instance, locked_idp)


def test_paste_mangled_by_copying(meet: Meet, locked_instance: Opencode, locked_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(locked_instance.url)
    dialog.paste(f'  "{address_of(alice, dialog)}" \t')
    dialog.closes_connected()
    signed_in(alice, locked_instance, locked_idp)


def test_paste_broken_into_lines(meet: Meet, locked_instance: Opencode, locked_idp: Idp) -> None:
    """As a terminal wraps it: opencode's own input has one line, its API takes them all."""
    alice = meet("alice")
    address = address_of(alice, alice.connect(locked_instance.url))
    lines = [address[at : at + 60] for at in range(0, len(address), 60)]
    assert locked_instance.paste("\n  ".join(lines))
    signed_in(alice, locked_instance, locked_idp)


def test_paste_after_a_dispose_in_between(
    meet: Meet, locked_instance: Opencode, locked_idp: Idp
) -> None:
    """With its instance opencode forgets which login the input belongs to; the plugin does not."""
    alice = meet("alice")
    dialog = alice.connect(locked_instance.url)
    address = address_of(alice, dialog)
    locked_instance.dispose()
    wait_until(lambda: locked_instance.paste(address), "the paste is taken")
    signed_in(alice, locked_instance, locked_idp)


def test_paste_wrong_doubled_or_cut_and_then_the_right_one(
    meet: Meet, locked_instance: Opencode, locked_idp: Idp
) -> None:
    alice = meet("alice")
    dialog = alice.connect(locked_instance.url)
    address = address_of(alice, dialog)
    url = httpx.URL(address)
    code, state = url.params["code"], url.params["state"]

    dialog.refuses("what do I do now?")
    for wrong in (
        code,
        dialog.link,
        address * 2,
        f"{address}&code={code}",
        f"{address}&state={state}",
        address[: address.index("state=")],
        str(url.copy_remove_param("code")),
        str(url.copy_remove_param("state")),
        str(url.copy_set_param("state", state[:-4])),
        str(url.copy_set_param("iss", "https://auth.example.org")),
        str(url.copy_remove_param("code").copy_set_param("error", "access_denied")),
    ):
        assert not locked_instance.paste(wrong), wrong
    never_signed_in(alice, locked_instance, locked_idp)
    assert locked_idp.refusals_of(code) == []  # none of them reached the identity provider

    dialog.paste(address)
    dialog.closes_connected()
    signed_in(alice, locked_instance, locked_idp)


def test_paste_a_second_time(meet: Meet, locked_instance: Opencode, locked_idp: Idp) -> None:
    """A code that is redeemed twice takes back what it gave (RFC 6749 section 4.1.2)."""
    alice = meet("alice")
    dialog = alice.connect(locked_instance.url)
    address = address_of(alice, dialog)
    dialog.paste(address)
    dialog.closes_connected()
    assert not locked_instance.paste(address)
    signed_in(alice, locked_instance, locked_idp)


def test_paste_an_address_of_a_foreign_login(
    meet: Meet, locked_instance: Opencode, locked_idp: Idp, locked_relay: Relay
) -> None:
    """The attacker's login is open at the same relay, with the same key, but not in this plugin."""
    alice, mallory = meet("alice"), meet("mallory")
    dialog = alice.connect(locked_instance.url)
    with Client(locked_relay.issuer, key=locked_relay.options["key"]) as client:
        login = client.open(name="mallory's box", completion_code=True)
    foreign = httpx.URL(dialog.link).copy_merge_params(
        {"state": login.state.reveal(), "code_challenge": CHALLENGE}
    )
    hers = mallory.reach_localhost(mallory.open(str(foreign)))
    dialog.refuses(hers)
    assert locked_idp.refusals_of(httpx.URL(hers).params["code"]) == []

    # Her code under Alice's state gets further, and fails for want of the PKCE verifier.
    address = address_of(alice, dialog)
    spliced = httpx.URL(address).copy_set_param("code", httpx.URL(hers).params["code"])
    dialog.refuses(str(spliced))

    dialog.paste(address)
    dialog.closes_connected()
    signed_in(alice, locked_instance, locked_idp)
    never_signed_in(mallory, locked_instance, locked_idp)


@pytest.mark.parametrize("first", ["alice", "bob"])
def test_paste_by_two_people_at_once(
    meet: Meet, locked_instance: Opencode, locked_idp: Idp, first: str
) -> None:
    """opencode remembers one login a provider: whoever pastes first gets their own all the same."""
    people = {name: meet(name) for name in ("alice", "bob")}
    dialogs = {name: one.connect(locked_instance.url) for name, one in people.items()}
    addresses = {name: address_of(people[name], dialogs[name]) for name in people}
    second = "bob" if first == "alice" else "alice"

    dialogs[first].paste(addresses[first])
    dialogs[first].closes_connected()
    signed_in(people[first], locked_instance, locked_idp)
    never_signed_in(people[second], locked_instance, locked_idp)

    dialogs[second].paste(addresses[second])
    expect(dialogs[second].box).to_have_count(0)
    signed_in(people[second], locked_instance, locked_idp)
    assert len(locked_idp.tokens_of(people[first].name)) == 1
