"""What a process that shares tables and keys does by itself, turn by turn."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from opencode_relay.amazon import LOOKS
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.held import LOOK_AGAIN
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import HEAD_START, MAX_AGE, Ring
from opencode_relay.machine import chores
from opencode_relay.machine.shared import OVERDUE, SAY_AGAIN, FetchedKeys, SharedHousekeeping
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.dynamodb import BATCH

from tests.support.clock import Clock
from tests.support.served import PATIENCE


class Parameters:
    """Where keys are fetched from; one that is `held` up answers when it is let go."""

    def __init__(self, now: float) -> None:
        self.ring = Ring.fresh(now)
        self.failing = False
        self.fetched = 0
        self.threads: set[str] = set()

    def load(self) -> Ring:
        self.fetched += 1
        self.threads.add(threading.current_thread().name)
        if self.failing:
            raise StoreUnavailable("Parameter Store refuses: AccessDeniedException.")
        return self.ring


class Table:
    """The part of a store that chores use."""

    def __init__(self) -> None:
        self.over: set[str] = set()
        self.failing = False
        self.missing = ""  # a login whose part of a look fails
        self.asked: list[int] = []
        self.busy = self.most = 0

    async def settled(self, login_ids: Sequence[str]) -> list[str]:
        self.asked.append(len(login_ids))
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.failing or self.missing in login_ids:
            raise StoreUnavailable("DynamoDB refuses: AccessDeniedException.")
        return [one for one in login_ids if one in self.over]


class House:
    def __init__(self) -> None:
        self.clock, self.table = Clock(), Table()
        self.parameters = Parameters(self.clock())
        self.keys = FetchedKeys(self.parameters.load, self.clock)
        self.keys.refresh()
        settings = Settings(public_url="https://relay.example")
        store: object = self.table
        self.relay = Relay(settings, store, self.keys, clock=self.clock)  # type: ignore[arg-type]
        self.chores = SharedHousekeeping(self.relay, store, self.keys)  # type: ignore[arg-type]


@pytest.fixture
def house() -> House:
    return House()


async def test_who_waits_for_what_was_settled_is_woken_and_nobody_else(house: House) -> None:
    with house.relay.bells.waiter("a", "x") as a, house.relay.bells.waiter("b", "x") as b:
        assert a
        assert b
        await house.chores.wake()
        assert not a.rung
        house.table.over = {"a"}
        await house.chores.wake()
        assert (a.rung, b.rung) == (True, False)


async def test_a_part_of_a_look_that_fails_keeps_nobody_else_waiting(house: House) -> None:
    names = [f"{number}" for number in range(6 * BATCH + 1)]
    with ExitStack() as waiting:
        bells = [waiting.enter_context(house.relay.bells.waiter(one, one)) for one in names]
        house.table.over, house.table.missing = set(names), names[BATCH]
        with pytest.raises(StoreUnavailable):
            await house.chores.wake()
        unheard = {name for name, bell in zip(names, bells, strict=True) if bell and not bell.rung}
    assert unheard == set(names[BATCH : 2 * BATCH])
    assert house.table.asked == [BATCH] * 6 + [1]
    assert house.table.most == LOOKS  # the other requests need not wait behind them


async def test_keys_are_fetched_once_a_minute_and_never_in_the_event_loop(house: House) -> None:
    house.parameters.threads.clear()
    for second in range(3 * LOOK_AGAIN):
        await house.keys.tend()
        assert house.parameters.fetched == 2 + second // LOOK_AGAIN
        house.clock.advance(1)
    assert threading.current_thread().name not in house.parameters.threads
    assert 2 * LOOK_AGAIN < HEAD_START  # what a new key has until it is used


async def test_new_keys_are_taken_up(house: House) -> None:
    house.parameters.ring = house.parameters.ring.rotated(house.clock())
    await house.keys.tend()
    assert house.keys.ring == house.parameters.ring


async def test_an_unknown_key_is_looked_for_with_the_next_turn(house: House) -> None:
    await house.keys.tend()
    house.parameters.ring = Ring.fresh(house.clock())
    kid = house.parameters.ring.keys[0].kid
    assert house.keys.find(Purpose.STATE, kid) is None
    await house.keys.tend()
    assert house.keys.find(Purpose.STATE, kid) == house.parameters.ring.keys[0]


async def test_keys_that_cannot_be_fetched_stay_and_health_tells_of_it(house: House) -> None:
    before = house.keys.ring
    house.keys.check()
    house.parameters.failing = True
    with pytest.raises(StoreUnavailable):
        await house.keys.tend()
    with pytest.raises(StoreUnavailable, match="AccessDenied"):
        house.keys.check()
    assert house.keys.ring == before
    house.parameters.failing = False
    house.clock.advance(LOOK_AGAIN)
    await house.keys.tend()
    house.keys.check()


async def test_keys_that_nobody_rotates_are_complained_of_once_an_hour(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.clock.advance(OVERDUE - 1)
    await house.chores.tend_keys()
    assert not caplog.records
    for _ in range(SAY_AGAIN):
        house.clock.advance(1)
        await house.chores.tend_keys()
    assert [record.getMessage() for record in caplog.records] == ["keys_overdue"]
    house.parameters.ring = house.parameters.ring.rotated(house.clock())
    house.clock.advance(SAY_AGAIN)
    await house.chores.tend_keys()
    assert len(caplog.records) == 1
    assert OVERDUE > MAX_AGE


async def test_one_chore_goes_on_while_another_fails_or_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chores, "TICK", 0)
    hangs = threading.Event()
    load = house.parameters.load

    def slow() -> Ring:
        assert hangs.wait(PATIENCE)
        return load()

    monkeypatch.setattr(house.keys, "_load", slow)
    house.table.failing = True
    with caplog.at_level(logging.ERROR), house.relay.bells.waiter("a", "x") as bell:
        assert bell
        doing = asyncio.create_task(house.chores.run())
        while len(caplog.records) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        house.table.failing, house.table.over = False, {"a"}
        assert await bell.wait(PATIENCE)
        assert house.parameters.fetched == 1  # at the start
        hangs.set()
        while house.parameters.fetched < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        doing.cancel()
    assert {record.getMessage() for record in caplog.records} == {"chores_failed"}
