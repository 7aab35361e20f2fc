"""A relay that is used is given a domain: the address that was known stays until it is let go."""

import pytest

from tests.aws.ric_wire import LambdaWire
from tests.aws.tap import Tap
from tests.aws.template import FUNCTIONS
from tests.support.clock import Clock
from tests.support.wire import ISSUER

DOMAIN = "https://relay.named.example"


@pytest.fixture
async def named(wire: LambdaWire, tap: Tap, clock: Clock) -> LambdaWire:
    """The same relay by its new name; its functions are not started yet."""
    named = LambdaWire(tap, wire.functions, clock, DOMAIN)
    named.key = wire.key
    return named


def rename(wire: LambdaWire, old: str) -> None:
    wire.functions.stop()
    for name in FUNCTIONS[:3]:
        environment = wire.functions.start(name, RELAY_PUBLIC_URL=DOMAIN, OLD_PUBLIC_URL=old)
        wire.functions.running[name] = environment


async def issuer(wire: LambdaWire) -> str:
    return str((await wire.http.get("/.well-known/opencode-relay")).json()["issuer"])


async def test_logins_under_way_and_instances_of_the_old_name_live_on(
    wire: LambdaWire, named: LambdaWire
) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    rename(wire, ISSUER)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    assert await wire.collected(login) == {"code": "c0de"}
    assert await wire.collected(await wire.released()) == {"code": "c0de"}
    new = await named.released(confirmation="completion_code")
    assert await named.collected(new) == {"code": "c0de"}
    assert (await issuer(wire), await issuer(named)) == (ISSUER, DOMAIN)
    wire.functions.stop()


async def test_each_name_is_an_issuer_of_its_own(wire: LambdaWire, named: LambdaWire) -> None:
    rename(wire, ISSUER)
    login = await named.open()
    assert (await wire.callback(login)).status_code == 400
    lied = await wire.http.get("/.well-known/opencode-relay", headers={"X-Forwarded-Host": DOMAIN})
    assert lied.json()["issuer"] == ISSUER
    wire.functions.stop()


async def test_once_it_is_let_go_there_is_one_issuer(wire: LambdaWire, named: LambdaWire) -> None:
    rename(wire, "")
    assert (await issuer(wire), await issuer(named)) == (DOMAIN, DOMAIN)
    wire.functions.stop()
