"""Signing in where the relay's redirect URI is registered: by pairing code."""

from playwright.sync_api import expect

from .conftest import Meet
from .idp import Idp
from .opencode import Opencode
from .outcome import never_signed_in, signed_in
from .person import decide, says
from .processes import wait_until

WRONG = "0000-0000"


def test_login_by_pairing_code(meet: Meet, instance: Opencode, open_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    page = alice.reach_relay(dialog.follow())
    decide(page, "Allow", dialog.pairing_code)

    says(page, "Sign-in allowed")
    dialog.closes_connected()
    signed_in(alice, instance, open_idp)


def test_wrong_pairing_code_and_then_the_right_one(
    meet: Meet, instance: Opencode, open_idp: Idp
) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    page = alice.reach_relay(dialog.follow())

    decide(page, "Allow", WRONG)
    expect(page.get_by_role("alert")).to_contain_text("not the code of this sign-in")
    never_signed_in(alice, instance, open_idp)

    # As people type it: the relay forgives case, and a space for the dash.
    decide(page, "Allow", dialog.pairing_code.lower().replace("-", " "))
    dialog.closes_connected()
    signed_in(alice, instance, open_idp)


def test_deny(meet: Meet, instance: Opencode, open_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    page = alice.reach_relay(dialog.follow())
    decide(page, "Deny")

    says(page, "Sign-in denied")
    dialog.fails()
    never_signed_in(alice, instance, open_idp)
    instance.until_log_says("the sign-in was declined on the relay's page")
    assert not instance.connected()


def test_access_denied_by_the_identity_provider(
    meet: Meet, instance: Opencode, open_idp: Idp
) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    page = dialog.follow()
    alice.sign_in(page)
    page.get_by_role("link", name="Cancel").click()

    says(page, "Not signed in")
    dialog.fails()
    never_signed_in(alice, instance, open_idp)
    instance.until_log_says(f"{open_idp.issuer} answered access_denied")
    assert not instance.connected()


def test_two_people_at_once(meet: Meet, instance: Opencode, open_idp: Idp) -> None:
    alice, bob = meet("alice"), meet("bob")
    hers, his = alice.connect(instance.url), bob.connect(instance.url)
    her_code, his_code = hers.pairing_code, his.pairing_code
    her_page = alice.reach_relay(hers.follow())
    his_page = bob.reach_relay(his.follow())

    decide(his_page, "Allow", her_code)
    expect(his_page.get_by_role("alert")).to_contain_text("not the code of this sign-in")

    decide(her_page, "Allow", her_code)
    hers.closes_connected()
    signed_in(alice, instance, open_idp)
    never_signed_in(bob, instance, open_idp)

    # An instance keeps one account: the later sign-in replaces the earlier, and the log says so.
    decide(his_page, "Allow", his_code)
    says(his_page, "Sign-in allowed")
    signed_in(bob, instance, open_idp)
    assert len(open_idp.tokens_of(alice.name)) == 1
    wait_until(
        lambda: instance.log_says(
            f"stored account {bob.name}@example.org, replaced account {alice.name}@example.org"
        ),
        "the log names both accounts",
    )


def test_two_logins_in_one_browser(meet: Meet, instance: Opencode, open_idp: Idp) -> None:
    alice = meet("alice")
    one, other = alice.connect(instance.url), alice.connect(instance.url)
    codes = one.pairing_code, other.pairing_code
    page, other_page = alice.reach_relay(one.follow()), alice.reach_relay(other.follow())

    decide(page, "Allow", codes[1])
    expect(page.get_by_role("alert")).to_contain_text("not the code of this sign-in")
    never_signed_in(alice, instance, open_idp)

    decide(page, "Allow", codes[0])
    signed_in(alice, instance, open_idp)
    # opencode may have mixed up whom it waits for, so any success ends the waiting of both.
    one.closes_connected()
    other.closes_connected()
    decide(other_page, "Allow", codes[1])
    says(other_page, "Sign-in allowed")
    signed_in(alice, instance, open_idp, logins=2)


def test_back_and_a_second_tab_after_allow(meet: Meet, instance: Opencode, open_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    code = dialog.pairing_code
    page = alice.reach_relay(dialog.follow())
    callback = page.url
    second_tab = alice.open(callback)
    decide(page, "Allow", code)
    signed_in(alice, instance, open_idp)

    page.go_back()
    says(page, "This sign-in is already over")
    decide(second_tab, "Allow", code)
    says(second_tab, "This sign-in is already over")
    says(alice.open(callback), "This sign-in is already over")
    signed_in(alice, instance, open_idp)


def test_reload_of_the_page_and_a_dispose_in_between(
    meet: Meet, instance: Opencode, open_idp: Idp
) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    code = dialog.pairing_code
    page = alice.reach_relay(dialog.follow())
    dialog.page.reload()
    instance.dispose()
    decide(page, "Allow", code)
    signed_in(alice, instance, open_idp)


def test_disconnect_cancels_the_logins_under_way(
    meet: Meet, instance: Opencode, open_idp: Idp
) -> None:
    alice, bob = meet("alice"), meet("bob")
    hers, his = alice.connect(instance.url), bob.connect(instance.url)
    code, page = his.pairing_code, bob.reach_relay(his.follow())
    decide(alice.reach_relay(hers.follow()), "Allow", hers.pairing_code)
    signed_in(alice, instance, open_idp)

    alice.disconnect(instance.url)
    wait_until(lambda: instance.log_says("the account was disconnected: 1 login"), "it is noticed")
    decide(page, "Allow", code)
    says(page, "This sign-in is already over")
    never_signed_in(bob, instance, open_idp)
    assert instance.account() is None
