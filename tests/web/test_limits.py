"""Limits by the minute: logins per instance, strangers, refused keys, wrong pairing codes."""

import httpx
import pytest

from tests.support.clock import Clock
from tests.support.wire import (
    WRONG_CODE,
    MakeWire,
    Opened,
    Wire,
    bearer,
    check_page,
    check_problem,
)

TOO_MANY = (429, "Too many wrong codes")
KEY = bearer("ocr_wrong")


async def statuses(wire: Wire, number: int, name: str | None = None) -> list[int]:
    return [(await wire.post(wire.body(name=name))).status_code for _ in range(number)]


# Per instance


async def test_an_instance_opens_so_many_logins_a_minute(make_wire: MakeWire) -> None:
    wire = make_wire(open_limit=2)
    await wire.enrol()
    assert await statuses(wire, 3) == [201, 201, 429]


async def test_429_says_when_to_come_back(make_wire: MakeWire, clock: Clock) -> None:
    wire = make_wire(open_limit=1)
    await wire.enrol()
    clock.advance(45)
    await wire.post(wire.body())
    answer = await wire.post(wire.body())
    check_problem(answer, 429, "rate-limited")
    assert answer.headers["retry-after"] == "15"
    clock.advance(15)
    assert (await wire.post(wire.body())).status_code == 201


async def test_one_instance_does_not_use_up_anothers_limit(make_wire: MakeWire) -> None:
    wire = make_wire(open_limit=1)
    for name in ("one", "two"):
        await wire.enrol(name)
        assert await statuses(wire, 2) == [201, 429]


async def test_an_instance_has_one_limit_from_all_its_addresses(make_wire: MakeWire) -> None:
    wire = make_wire(open_limit=1)
    await wire.enrol()
    assert await statuses(wire, 1) == [201]
    wire.http = wire.at("198.51.100.1")
    assert await statuses(wire, 1) == [429]


@pytest.mark.parametrize("enrolled", [True, False])
async def test_0_is_no_limit(make_wire: MakeWire, enrolled: bool) -> None:
    wire = make_wire(open_limit=0, address_limit=0, enrolment="open")
    if enrolled:
        await wire.enrol()
    assert set(await statuses(wire, 130, "x")) == {201}


async def test_the_default_is_120_for_an_instance(wire: Wire) -> None:
    assert await statuses(wire, 121) == [201] * 120 + [429]


async def test_the_default_is_20_for_an_address(open_wire: Wire) -> None:
    assert await statuses(open_wire, 21, "x") == [201] * 20 + [429]


# Per address


async def by_address(wire: Wire, *addresses: str) -> list[int]:
    answers = []
    for address in addresses:
        wire.http = wire.at(address)
        answers += await statuses(wire, 1, "x")
    return answers


async def test_strangers_are_limited_by_address(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1, enrolment="open")
    found = await by_address(wire, "203.0.113.1", "203.0.113.2", "203.0.113.1")
    assert found == [201, 201, 429]


async def test_an_ipv6_address_is_its_64(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1, enrolment="open")
    found = await by_address(wire, "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1")
    assert found == [201, 429, 201]


async def test_an_ipv4_address_written_as_ipv6_is_the_same(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1, enrolment="open")
    found = await by_address(wire, "203.0.113.1", "::ffff:203.0.113.1", "::ffff:203.0.113.2")
    assert found == [201, 429, 201]


async def test_a_forwarded_address_is_not_believed(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1, enrolment="open")
    found = [
        (await wire.post(wire.body(name="x"), **{"X-Forwarded-For": f"203.0.113.{n}"})).status_code
        for n in range(2)
    ]
    assert found == [201, 429]


# Refused keys


async def refused(wire: Wire) -> httpx.Response:
    return await wire.http.post("/v1/logins", json=wire.body(name="x"), headers=KEY)


async def test_too_many_refused_keys_are_429_instead_of_401(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=2)
    for _ in range(2):
        check_problem(await refused(wire), 401, "instance-key-invalid")
    check_problem(await refused(wire), 429, "rate-limited")


async def test_a_good_key_works_beside_refused_ones(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1)
    await wire.enrol()
    for _ in range(3):
        await refused(wire)
    assert await statuses(wire, 1) == [201]


async def test_refused_keys_and_strangers_are_counted_apart(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1, enrolment="open")
    await refused(wire)
    assert await statuses(wire, 1, "x") == [201]


async def test_a_missing_key_is_401_however_often(make_wire: MakeWire) -> None:
    assert await statuses(make_wire(address_limit=1), 3, "x") == [401, 401, 401]


# Wrong pairing codes


async def arrived(wire: Wire) -> tuple[Opened, httpx.Response]:
    await wire.enrol()
    login = await wire.open()
    return login, await wire.callback(login)


async def test_wrong_pairing_codes_are_limited_by_address(
    make_wire: MakeWire, clock: Clock
) -> None:
    wire = make_wire(address_limit=2)
    login, page = await arrived(wire)
    clock.advance(50)
    for _ in range(2):
        assert (await wire.press(page, "allow", WRONG_CODE)).status_code == 422
    answer = await wire.press(page, "allow", login.pairing_code)
    check_page(answer, *TOO_MANY)
    assert answer.headers["retry-after"] == "10"
    clock.advance(10)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303


async def test_another_address_may_go_on_typing(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1)
    login, page = await arrived(wire)
    await wire.press(page, "allow", WRONG_CODE)
    wire.http = wire.at("198.51.100.1")
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303


async def test_deny_is_never_limited(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1)
    _, page = await arrived(wire)
    for _ in range(2):
        await wire.press(page, "allow", WRONG_CODE)
    assert (await wire.press(page, "deny")).status_code == 303


async def test_right_codes_are_not_counted(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1)
    await wire.enrol()
    for _ in range(3):
        await wire.released()


async def test_wrong_codes_are_counted_over_all_logins(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=1)
    _, page = await arrived(wire)
    await wire.press(page, "allow", WRONG_CODE)
    other = await wire.callback(await wire.open())
    assert (await wire.press(other, "allow", WRONG_CODE)).status_code == 429


async def test_without_a_limit_wrong_codes_are_only_wrong(make_wire: MakeWire) -> None:
    wire = make_wire(address_limit=0)
    _, page = await arrived(wire)
    found = {(await wire.press(page, "allow", WRONG_CODE)).status_code for _ in range(30)}
    assert found == {422}
