"""What a relay on one machine does by itself, tick by tick."""

import asyncio
import errno
import logging
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.file import KeyFile
from opencode_relay.keys.held import LOOK_AGAIN, Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import MAX_AGE
from opencode_relay.login import Status, finish
from opencode_relay.machine import chores as chore
from opencode_relay.machine.chores import TICK
from opencode_relay.machine.descriptors import SAY_AGAIN
from opencode_relay.machine.housekeeping import (
    HELD_UP,
    ROTATE,
    SWEEP,
    Housekeeping,
)
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.clock import Clock
from tests.support.stores import a_full_login, a_login


class House:
    def __init__(self, data: Path) -> None:
        self.clock = Clock()
        self.store = SQLiteStore(data)
        self.other = SQLiteStore(data)
        self.keyfile = KeyFile(data, self.clock)
        self.keyfile.load()
        keys = Keys(self.keyfile.load, self.clock)
        settings = Settings(public_url="https://relay.example")
        self.relay = Relay(settings, self.store, keys, clock=self.clock)
        self.chores = Housekeeping(self.relay, self.store, self.keyfile)

    def ticks(self, number: int) -> None:
        for _ in range(number):
            self.chores.tick()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.store.close()
    house.other.close()


def kids(keys: Keys) -> set[str]:
    return {key.kid for key in keys.ring.keys}


def test_what_another_process_wrote_wakes_who_waits(house: House) -> None:
    house.ticks(1)
    with house.relay.bells.waiter("a", "x") as bell:
        assert bell
        asyncio.run(house.other.create(a_login()))
        house.ticks(1)
        assert bell.rung


def test_nothing_written_wakes_nobody(house: House) -> None:
    house.ticks(1)
    with house.relay.bells.waiter("a", "x") as bell:
        assert bell
        asyncio.run(house.store.create(a_login()))
        house.ticks(3)
        assert not bell.rung


def test_keys_that_another_process_made_are_taken_up(house: House) -> None:
    house.ticks(1)
    ring = house.keyfile.rotate()
    house.ticks(1)
    assert kids(house.relay.keys) == {key.kid for key in ring.keys}


def test_keys_are_rotated_when_they_are_90_days_old(house: House) -> None:
    house.ticks(1)
    house.clock.advance(MAX_AGE)
    house.ticks(ROTATE - 1)
    assert len(house.relay.keys.ring.keys) == len(Purpose)
    house.ticks(1)
    assert len(house.relay.keys.ring.keys) == 2 * len(Purpose)


def test_what_has_expired_is_erased(house: House) -> None:
    house.ticks(1)
    login = a_login()
    asyncio.run(house.store.create(login))
    house.clock.advance(600)
    house.ticks(SWEEP)
    kept = asyncio.run(house.store.get(login.id))
    assert kept
    assert kept.encryption_key is None


def test_a_login_that_expires_is_told_of_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.ticks(1)
    for login in (a_login(id="l" * 22), a_login(id="f" * 22)):
        asyncio.run(house.store.create(login))
    asyncio.run(house.store.apply("f" * 22, finish(login, house.clock())))
    house.ticks(SWEEP)
    assert caplog.records == []
    house.clock.advance(600)
    house.ticks(3 * SWEEP)
    (told,) = caplog.records
    assert told.getMessage() == "expired"
    assert vars(told)["fields"] == {"outcome": "pending", "login_id": "l" * 22}


def test_what_is_erased_is_in_no_file_a_tick_later(house: House, tmp_path: Path) -> None:
    house.ticks(1)
    for store in (house.store, house.other):
        login = a_full_login(response="a-sealed-response-" * 50, status=Status.RELEASED)
        asyncio.run(store.create(login))
        asyncio.run(store.apply(login.id, finish(login, house.clock())))
        house.ticks(1)
        assert b"a-sealed-response" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_a_damaged_key_ring_hinders_no_erasing(house: House, tmp_path: Path) -> None:
    house.keyfile.path.write_text("damaged")
    asyncio.run(house.store.create(a_login()))
    with pytest.raises(StoreUnavailable):
        house.ticks(1)
    assert (tmp_path / "relay.db-wal").stat().st_size == 0


def test_who_keeps_the_log_from_being_emptied_is_complained_of_once_a_minute(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(house.store, "empty_log", lambda: False)
    house.ticks(HELD_UP - 1)
    assert not caplog.records
    house.ticks(2)
    assert [record.getMessage() for record in caplog.records] == ["erasure_held_up"]
    monkeypatch.undo()
    house.ticks(1)
    monkeypatch.setattr(house.store, "empty_log", lambda: False)
    house.ticks(HELD_UP - 1)
    assert len(caplog.records) == 1


def test_a_damaged_key_ring_keeps_nobody_from_being_woken(house: House) -> None:
    house.ticks(1)
    before = kids(house.relay.keys)
    house.keyfile.path.write_text("damaged")
    asyncio.run(house.other.create(a_login()))
    with house.relay.bells.waiter("a", "x") as bell:
        assert bell
        with pytest.raises(StoreUnavailable):
            house.ticks(1)
        assert bell.rung
    assert kids(house.relay.keys) == before


def test_a_damaged_key_ring_is_tried_again_until_it_is_mended(house: House) -> None:
    house.ticks(1)
    good = house.keyfile.path.read_text()
    house.keyfile.path.write_text("damaged")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            house.ticks(1)
    house.keyfile.path.write_text(good)
    house.ticks(1)


def test_changes_of_others_are_taken_up_within_two_seconds() -> None:
    assert TICK <= 1


async def test_a_fault_is_logged_and_the_chores_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chore, "TICK", 0)
    good = house.keyfile.path.read_text()
    house.keyfile.path.write_text("damaged")
    with caplog.at_level(logging.ERROR):
        chores = asyncio.create_task(house.chores.run())
        await asyncio.sleep(0)
        assert [record.getMessage() for record in caplog.records] == ["chores_failed"]
        house.keyfile.path.write_text(good)
        new = house.keyfile.rotate()
        await asyncio.sleep(0)
    assert kids(house.relay.keys) == {key.kid for key in new.keys}
    chores.cancel()


async def test_a_fault_that_nobody_foresaw_is_told_and_the_chores_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chore, "TICK", 0)
    faults = [RuntimeError("the-secret")]

    def broken_once() -> None:
        if faults:
            raise faults.pop()

    monkeypatch.setattr(house.chores, "_empty_log", broken_once)
    with caplog.at_level(logging.ERROR):
        chores = asyncio.create_task(house.chores.run())
        await asyncio.sleep(0)
        assert [record.getMessage() for record in caplog.records] == ["unhandled_exception"]
        house.keyfile.rotate()
        await asyncio.sleep(0)
    assert kids(house.relay.keys) == {key.kid for key in house.keyfile.load().keys}
    chores.cancel()


def test_that_descriptors_have_run_out_is_said_once_a_minute(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class NoSocket:
        def __init__(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    house.ticks(1)
    assert caplog.records == []
    monkeypatch.setattr("socket.socket", NoSocket)
    house.ticks(SAY_AGAIN)
    assert [record.getMessage() for record in caplog.records] == ["descriptors_exhausted"]
    house.ticks(1)
    assert len(caplog.records) == 2
    monkeypatch.undo()
    house.ticks(2 * SAY_AGAIN)
    assert len(caplog.records) == 2
    assert SAY_AGAIN * TICK >= 60


async def test_without_descriptors_the_keys_in_use_stay(house: House) -> None:
    """And are not made anew, as they are where there is no file."""
    house.ticks(1)
    before = kids(house.relay.keys)
    house.clock.advance(LOOK_AGAIN)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        await house.store.create(login := a_login())
        for needs_a_file in (house.relay.keys.check, house.keyfile.rotate_if_due):
            with pytest.raises(StoreUnavailable):
                needs_a_file()
        assert await house.other.get(login.id) == login
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    house.relay.keys.check()
    assert kids(house.relay.keys) == before
