"""Signing in where the relay's redirect URI is registered: by pairing code."""

from .conftest import Meet
from .idp import Idp
from .opencode import Opencode
from .outcome import not_signed_in, signed_in
from .person import decide


def test_login_by_pairing_code(meet: Meet, instance: Opencode, open_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    page = alice.reach_relay(dialog.follow())
    decide(page, "Allow", dialog.pairing_code)

    page.wait_for_url("**/auth/done")
    dialog.closes_connected()
    signed_in(alice, instance, open_idp)
