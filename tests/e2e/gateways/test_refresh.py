"""Access tokens that have expired, and sign-ins that have."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import Meet
from tests.e2e.idp import Idp

from .api import REPLY
from .conftest import Open
from .test_sign_in import sign_in_at_work
from .world import WORK, Place


def test_two_opencodes_that_share_accounts_refresh_once(
    meet: Meet, place: Place, open_place: Open, sso: Idp
) -> None:
    alice = meet("alice")
    sign_in_at_work(alice, place.connect(alice))
    with open_place("gateways-opencode") as other:  # the same home
        assert other.ask() == REPLY
        for _ in range(3):
            place.expire()
            with ThreadPoolExecutor() as pool:
                said = pool.map(lambda one: one.ask(), (place, other, place, other))
                assert set(said) == {REPLY}
    granted = [one["grant_type"] for one in sso.tokens_of(alice.name)]
    assert granted == ["authorization_code", *["refresh_token"] * 3]
    assert sso.events("token-error") == []


def test_a_refused_refresh_is_said_in_words(meet: Meet, place: Place, sso: Idp) -> None:
    alice = meet("alice")
    sign_in_at_work(alice, place.connect(alice))
    place.change(WORK, refresh="one-that-was-revoked")
    place.expire()
    said = place.ask()
    assert said.startswith("the sign-in with Work SSO does not count any more")
    assert said.endswith("or with: opencode auth login --provider work")
    place.opencode.until_log_says("sign in again")

    sign_in_at_work(alice, place.connect(alice))
    assert place.ask() == REPLY
    assert len(sso.tokens_of(alice.name)) == 2
