"""Waiting for a release: what ends it, one waiter per login, and everybody's share."""

import asyncio
import logging
from collections.abc import Awaitable

import httpx
import pytest

from tests.support.clock import Clock
from tests.support.wire import (
    MakeWire,
    Opened,
    Wire,
    check_problem,
    completion_code_of,
)

FOREVER = 20  # seconds that no test here waits to the end
BUSY = "5"


async def waiting(wire: Wire, login: Opened, number: int = 1) -> asyncio.Task[httpx.Response]:
    """Begin to wait; comes back when `number` waiters are there."""
    task = asyncio.create_task(wire.collect(login, FOREVER))
    while len(wire.relay.bells) < number and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    return task


async def answer_of(task: Awaitable[httpx.Response]) -> httpx.Response:
    return await asyncio.wait_for(task, 5)


async def test_a_release_wakes_the_waiter(wire: Wire) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    waiter = await waiting(wire, login)
    assert not waiter.done()
    await wire.press(page, "allow", login.pairing_code)
    answer = await answer_of(waiter)
    assert (answer.status_code, answer.json()["status"]) == (200, "released")


async def test_a_completion_wakes_the_waiter(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    waiter = await waiting(wire, login)
    code = completion_code_of(await wire.callback(login))
    await wire.complete(login, code)
    assert (await answer_of(waiter)).status_code == 200


async def test_an_error_of_the_idp_wakes_the_waiter(wire: Wire) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    await wire.callback(login, error="access_denied")
    assert (await answer_of(waiter)).status_code == 200


@pytest.mark.parametrize("how", ["pairing_code", "completion_code", "an error"])
async def test_a_collection_is_logged_after_its_release(
    wire: Wire, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.INFO, "opencode_relay")
    login = await wire.open(**({"confirmation": how} if how == "completion_code" else {}))
    waiter = await waiting(wire, login)
    if how == "an error":
        await wire.callback(login, error="access_denied")
    elif how == "pairing_code":
        await wire.press(await wire.callback(login), "allow", login.pairing_code)
    else:
        await wire.complete(login, completion_code_of(await wire.callback(login)))
    assert (await answer_of(waiter)).status_code == 200
    ends = [one.getMessage() for one in caplog.records]
    assert [end for end in ends if end in {"released", "collected"}] == ["released", "collected"]


async def test_deny_wakes_the_waiter(wire: Wire) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    waiter = await waiting(wire, login)
    await wire.press(page, "deny")
    check_problem(await answer_of(waiter), 410, "login-declined")


async def test_delete_wakes_the_waiter(wire: Wire) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    await wire.finish(login)
    check_problem(await answer_of(waiter), 410, "login-cancelled")


async def test_five_wrong_codes_wake_the_waiter(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    waiter = await waiting(wire, login)
    await wire.callback(login)
    for _ in range(5):
        await wire.complete(login, "0000-0000")
    check_problem(await answer_of(waiter), 410, "login-cancelled")


async def test_a_login_that_expires_while_it_is_waited_for_is_410(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    clock.advance(600)
    wire.relay.bells.ring_all()
    check_problem(await answer_of(waiter), 410, "login-expired")


async def test_nobody_waits_longer_than_the_login_lives(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    clock.advance(599.9)
    answer = await answer_of(asyncio.create_task(wire.collect(login, FOREVER)))
    assert answer.status_code == 202


async def test_a_bell_without_a_release_goes_on_waiting(wire: Wire) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    for _ in range(10):
        wire.relay.bells.ring_all()
        await asyncio.sleep(0)
    assert not waiter.done()
    await wire.finish(login)
    await answer_of(waiter)


async def test_what_another_process_released_is_seen_without_a_bell(make_wire: MakeWire) -> None:
    wire, other = make_wire(enrolment="open"), make_wire(enrolment="open")
    wire.relay._poll = lambda *_: 0.01
    login = await wire.open(name="x")
    waiter = await waiting(wire, login)
    await other.callback(login, error="access_denied")
    assert (await answer_of(waiter)).status_code == 200


# One waiter for each login


async def test_a_new_waiter_ends_the_earlier_one_with_202(wire: Wire) -> None:
    login = await wire.open()
    earlier = await waiting(wire, login)
    later = asyncio.create_task(wire.collect(login, FOREVER))
    answer = await answer_of(earlier)
    assert (answer.status_code, answer.headers["retry-after"]) == (202, BUSY)
    assert not later.done()
    await wire.finish(login)
    check_problem(await answer_of(later), 410, "login-cancelled")


async def test_somebody_elses_verifier_ends_no_waiter(wire: Wire) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    stranger = Opened(login.answer, "v" * 43, login.key)
    check_problem(await wire.collect(stranger, FOREVER), 404, "login-not-found")
    await asyncio.sleep(0)
    assert not waiter.done()
    await wire.finish(login)
    await answer_of(waiter)


async def test_asking_without_wait_ends_no_waiter(wire: Wire) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    await wire.collect(login, 0)
    await asyncio.sleep(0)
    assert not waiter.done()
    await wire.finish(login)
    await answer_of(waiter)


# Shares


async def fill(wire: Wire, number: int) -> list[tuple[Opened, asyncio.Task[httpx.Response]]]:
    found = []
    for n in range(number):
        login = await wire.open()
        found.append((login, await waiting(wire, login, len(wire.relay.bells) + 1)))
        assert not found[n][1].done()
    return found


async def empty(wire: Wire, waiters: list[tuple[Opened, asyncio.Task[httpx.Response]]]) -> None:
    wire.relay.bells.close()
    for _, waiter in waiters:
        assert (await answer_of(waiter)).status_code == 202


async def test_an_instance_waits_in_a_quarter_of_the_places(make_wire: MakeWire) -> None:
    wire = make_wire(max_waiters=8)
    await wire.enrol("greedy")
    waiters = await fill(wire, 2)
    answer = await answer_of(await waiting(wire, await wire.open(), 3))
    assert (answer.status_code, answer.headers["retry-after"]) == (202, BUSY)
    await wire.enrol("modest")
    await empty(wire, waiters + await fill(wire, 2))


async def test_all_places_together_are_limited(make_wire: MakeWire) -> None:
    wire = make_wire(max_waiters=4)
    waiters = []
    for name in ("one", "two", "three", "four"):
        await wire.enrol(name)
        waiters += await fill(wire, 1)
    await wire.enrol("five")
    answer = await answer_of(await waiting(wire, await wire.open(), 5))
    assert (answer.status_code, answer.headers["retry-after"]) == (202, BUSY)
    await empty(wire, waiters)


async def test_a_login_that_waits_already_may_ask_again_in_a_full_house(
    make_wire: MakeWire,
) -> None:
    wire = make_wire(max_waiters=4)
    await wire.enrol()
    [(login, earlier)] = await fill(wire, 1)
    later = asyncio.create_task(wire.collect(login, FOREVER))
    assert (await answer_of(earlier)).status_code == 202
    assert not later.done()
    await empty(wire, [(login, later)])


async def test_strangers_share_by_address(make_wire: MakeWire) -> None:
    wire = make_wire(max_waiters=4, enrolment="open")
    one, two = [await wire.open(name="x") for _ in range(2)]
    waiter = await waiting(wire, one)
    assert (await answer_of(await waiting(wire, two, 2))).status_code == 202
    wire.http = wire.at("198.51.100.1")
    other = await wire.open(name="x")
    elsewhere = await waiting(wire, other, 2)
    assert not elsewhere.done()
    await empty(wire, [(one, waiter), (other, elsewhere)])


async def test_who_has_left_costs_no_place(make_wire: MakeWire) -> None:
    wire = make_wire(max_waiters=4)
    await wire.enrol()
    for _ in range(3):
        [(login, waiter)] = await fill(wire, 1)
        await wire.finish(login)
        await answer_of(waiter)
        assert len(wire.relay.bells) == 0


async def test_a_relay_that_ends_sends_waiters_home_and_lets_none_in(wire: Wire) -> None:
    login = await wire.open()
    waiter = await waiting(wire, login)
    wire.relay.bells.close()
    answers = [await answer_of(waiter), await wire.collect(login, FOREVER)]
    assert [(a.status_code, a.headers["retry-after"]) for a in answers] == [(202, BUSY)] * 2
