"""Signing in through the services of infra/compose.yaml, whatever is restarted meanwhile."""

import pytest

from tests.e2e.helpers import HELPER, choose
from tests.e2e.idp import Idp
from tests.e2e.outcome import never_signed_in, signed_in
from tests.e2e.person import says
from tests.e2e.proxies import PASSWORD

from .services import SERVICES, Meet, Services


def test_sign_in_takes_one_click(meet: Meet, services: Services, idp: Idp) -> None:
    alice = meet("alice")
    dialog = choose(alice, services.url, HELPER)
    page = dialog.follow()
    alice.come_back(page, services.url)
    says(page, "Signed in")
    dialog.closes_connected()
    signed_in(alice, services.opencode, idp)


def test_no_secret_is_in_a_log(meet: Meet, services: Services, idp: Idp) -> None:
    alice = meet("alice")
    page = choose(alice, services.url, HELPER).follow()
    alice.come_back(page, services.url)
    signed_in(alice, services.opencode, idp)
    [tokens] = idp.tokens_of(alice.name)
    secrets = [PASSWORD, services.key, tokens["code"], tokens["access_token"]]
    logs = [services.log(service) for service in SERVICES]
    logs.append(services.opencode.log.read_text())
    assert all(logs)
    assert [secret for secret in secrets for log in logs if secret in log] == []


@pytest.mark.parametrize("service", ["relay", "caddy"])
def test_restarted_in_the_middle(meet: Meet, services: Services, idp: Idp, service: str) -> None:
    alice = meet("alice")
    page = choose(alice, services.url, HELPER).follow()
    alice.sign_in(page)
    services.restart(service)
    alice.come_back(page, services.url)
    says(page, "Signed in")
    signed_in(alice, services.opencode, idp)


def test_opencode_restarted_in_the_middle(meet: Meet, services: Services, idp: Idp) -> None:
    """It forgets who was signing in, and says so; the next one works."""
    alice = meet("alice")
    page = choose(alice, services.url, HELPER).follow()
    alice.sign_in(page)
    services.restart("opencode")
    alice.come_back(page, services.url)
    says(page, "This sign-in is over")
    never_signed_in(alice, services.opencode, idp)

    page = choose(alice, services.url, HELPER).follow()
    alice.come_back(page, services.url)
    says(page, "Signed in")
    signed_in(alice, services.opencode, idp)


def test_down_and_up_lose_nothing(meet: Meet, services: Services, idp: Idp) -> None:
    alice = meet("alice")
    page = choose(alice, services.url, HELPER).follow()
    alice.come_back(page, services.url)
    signed_in(alice, services.opencode, idp)
    kept = (services.key, services.instances())
    services.compose("down", "--timeout", 10)
    services.up()
    assert (services.key, services.instances()) == kept
    signed_in(alice, services.opencode, idp)
    services.opencode.forget()

    page = choose(alice, services.url, HELPER).follow()
    alice.come_back(page, services.url)
    says(page, "Signed in")
    signed_in(alice, services.opencode, idp, logins=2)
