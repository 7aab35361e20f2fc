"""Waiting: bells that are heard once, one waiter for each login, places that are given back."""

import asyncio
from contextlib import ExitStack

import pytest
from opencode_relay.doorbells import SHARE, Doorbell, Doorbells

FOREVER = 1000


async def test_a_ring_ends_the_wait() -> None:
    bell = Doorbell()
    wait = asyncio.create_task(bell.wait(FOREVER))
    await asyncio.sleep(0)
    bell.ring()
    assert await wait


async def test_a_ring_that_comes_before_the_wait_is_not_lost() -> None:
    bell = Doorbell()
    bell.ring()
    assert await bell.wait(FOREVER)


async def test_a_ring_is_heard_once() -> None:
    bell = Doorbell()
    bell.ring()
    await bell.wait(FOREVER)
    assert not await bell.wait(0)


async def test_ringing_twice_is_ringing_once() -> None:
    bell = Doorbell()
    wait = asyncio.create_task(bell.wait(FOREVER))
    await asyncio.sleep(0)
    bell.ring()
    bell.ring()
    assert await wait


async def test_without_a_ring_the_wait_ends_by_itself() -> None:
    assert not await Doorbell().wait(0)


async def test_a_timer_that_fires_after_the_ring_does_nothing() -> None:
    bell = Doorbell()
    wait = asyncio.create_task(bell.wait(0))
    await asyncio.sleep(0)
    bell.ring()
    assert await wait


async def test_a_wait_that_is_cancelled_leaves_no_timer() -> None:
    wait = asyncio.create_task(Doorbell().wait(FOREVER))
    await asyncio.sleep(0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait


def test_the_bell_of_a_login_is_rung_alone() -> None:
    bells = Doorbells(8)
    with bells.waiter("a", "x") as one, bells.waiter("b", "x") as two:
        assert one
        assert two
        bells.ring("a")
        bells.ring("nobody")
        assert (one.rung, two.rung) == (True, False)
        bells.ring_all()
        assert two.rung


def test_a_later_waiter_takes_the_place_of_the_earlier() -> None:
    bells = Doorbells(8)
    with bells.waiter("a", "x") as earlier, bells.waiter("a", "x") as later:
        assert earlier
        assert later
        assert earlier.rung
        assert not bells.current("a", earlier)
        assert bells.current("a", later)


def test_an_earlier_waiter_that_leaves_does_not_take_the_later_with_it() -> None:
    bells = Doorbells(8)
    with ExitStack() as stays:
        with bells.waiter("a", "x"):
            later = stays.enter_context(bells.waiter("a", "x"))
            assert later
        assert bells.current("a", later)
        assert len(bells) == 1


def test_an_owner_gets_its_share() -> None:
    bells = Doorbells(2 * SHARE)
    with ExitStack() as stays:
        found = [stays.enter_context(bells.waiter(i, o)) for i, o in ("ax", "bx", "cx", "dy")]
    assert [bool(bell) for bell in found] == [True, True, False, True]


def test_a_share_is_never_less_than_one() -> None:
    bells = Doorbells(1)
    with bells.waiter("a", "x") as one, bells.waiter("b", "y") as two:
        assert (bool(one), bool(two)) == (True, False)


def wait_and_fail(bells: Doorbells) -> None:
    with bells.waiter("a", "x") as bell:
        assert bell
        raise RuntimeError


def test_places_are_given_back_whatever_happens() -> None:
    bells = Doorbells(SHARE)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            wait_and_fail(bells)
    assert len(bells) == 0
    assert not bells._owners
    assert not bells._bells


def test_closing_sends_everybody_home_and_lets_nobody_in() -> None:
    bells = Doorbells(8)
    with bells.waiter("a", "x") as bell:
        assert bell
        bells.close()
        assert bell.rung
        assert not bells.current("a", bell)
        with bells.waiter("b", "x") as late:
            assert late is None
