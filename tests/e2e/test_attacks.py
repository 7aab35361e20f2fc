"""Who has only the link cannot finish a login, neither for themselves nor for its sender."""

from playwright.sync_api import expect

from .conftest import Meet
from .idp import Idp
from .opencode import Opencode
from .outcome import never_signed_in, signed_in
from .person import decide


def test_attacker_with_only_the_link_needs_the_pairing_code(
    meet: Meet, instance: Opencode, open_idp: Idp
) -> None:
    """RFC 9700 section 4.7: the attacker's account must not end up in the victim's instance."""
    victim, mallory = meet("victim"), meet("mallory")
    dialog = victim.connect(instance.url)
    code = dialog.pairing_code
    page = mallory.reach_relay(mallory.open(dialog.link))
    assert code not in page.content()

    for guess in ("ABCD-EFGH", "0000-0000", code[:-1] + ("0" if code[-1] != "0" else "1")):
        decide(page, "Allow", guess)
        expect(page.get_by_role("alert")).to_contain_text("not the code of this sign-in")
        assert code not in page.content()

    # The victim's own way is still open, and is the only one that counted.
    decide(victim.reach_relay(dialog.follow()), "Allow", code)
    signed_in(victim, instance, open_idp)
    decide(page, "Allow", code)
    signed_in(victim, instance, open_idp)
    never_signed_in(mallory, instance, open_idp)


def test_victim_with_only_the_link_cannot_be_made_to_pair_by_clicking(
    meet: Meet, instance: Opencode, open_idp: Idp
) -> None:
    """The attacker opens the login and sends the link: clicking through it gives them nothing."""
    mallory, victim = meet("mallory"), meet("victim")
    dialog = mallory.connect(instance.url)
    page = victim.reach_relay(victim.open(dialog.link))
    assert dialog.pairing_code not in page.content()

    page.get_by_role("button", name="Allow").click()  # the browser itself wants the code first
    page.locator("form").evaluate("form => { form.noValidate = true }")
    with page.expect_navigation():
        page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("alert")).to_contain_text("not the code of this sign-in")
    assert dialog.pairing_code not in page.content()
    expect(dialog.box.get_by_text("Waiting for authorization")).to_be_visible()

    decide(page, "Deny")
    dialog.fails()
    never_signed_in(victim, instance, open_idp)
    assert not instance.connected()
