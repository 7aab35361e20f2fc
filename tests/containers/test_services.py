"""Signing in through the services of infra/compose.yaml."""

import pytest

from tests.e2e.helpers import HELPER, choose
from tests.e2e.idp import Idp
from tests.e2e.outcome import never_signed_in, signed_in
from tests.e2e.person import says

from .services import Meet, Services


def test_sign_in_takes_one_click(meet: Meet, services: Services, idp: Idp) -> None:
    alice = meet("alice")
    dialog = choose(alice, services.url, HELPER)
    page = dialog.follow()
    alice.come_back(page, services.url)
    says(page, "Signed in")
    dialog.closes_connected()
    signed_in(alice, services.opencode, idp)


@pytest.mark.parametrize("service", ["relay", "caddy"])
def test_restarted_in_the_middle(
    meet: Meet, services: Services, idp: Idp, service: str
) -> None:
    alice = meet("alice")
    page = choose(alice, services.url, HELPER).follow()
    alice.sign_in(page)
    services.restart(service)
    services.ready()
    alice.come_back(page, services.url)
    says(page, "Signed in")
    signed_in(alice, services.opencode, idp)


def test_opencode_restarted_in_the_middle(meet: Meet, services: Services, idp: Idp) -> None:
    alice = meet("alice")
    page = choose(alice, services.url, HELPER).follow()
    alice.sign_in(page)
    services.restart("opencode")
    services.ready()
    alice.come_back(page, services.url)
    says(page, "This sign-in is over")
    never_signed_in(alice, services.opencode, idp)

    page = choose(alice, services.url, HELPER).follow()
    alice.come_back(page, services.url)
    says(page, "Signed in")
    signed_in(alice, services.opencode, idp)
