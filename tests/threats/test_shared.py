"""Several processes share tables and keys: what a stranger could make all of them do."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from botocore.session import get_session
from moto import mock_aws
from opencode_relay.errors import StoreUnavailable
from opencode_relay.events import log_to_stderr
from opencode_relay.keys.held import LOOK_AGAIN
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.keys.ring import HEAD_START, Ring
from opencode_relay.machine.shared import STALE, FetchedKeys

from tests.support.clock import Clock


class TestAStrangersKeyIdStopsEverybody:
    """A state names its key, and whoever writes one may name any: a look takes a request."""

    def setup_method(self) -> None:
        self.clock = Clock()
        self.ring = Ring.fresh(self.clock())
        self.fetched_by: list[str] = []
        self.keys = FetchedKeys(self.load, self.clock)
        self.keys.refresh()
        self.fetched_by.clear()

    def load(self) -> Ring:
        self.fetched_by.append(threading.current_thread().name)
        return self.ring

    async def turns(self, number: int) -> None:
        for _ in range(number):
            await self.keys.tend()
            self.clock.advance(1)

    async def test_who_asks_waits_for_no_look(self) -> None:
        await self.turns(1)
        self.clock.advance(LOOK_AGAIN)
        self.fetched_by.clear()
        assert self.keys.find(Purpose.STATE, "a-strangers") is None
        assert self.fetched_by == []
        await self.turns(1)
        assert threading.current_thread().name not in self.fetched_by
        assert len(self.fetched_by) == 1

    async def test_many_of_them_cause_a_look_a_minute(self) -> None:
        for number in range(LOOK_AGAIN):
            self.keys.find(Purpose.STATE, f"a-strangers-{number}")
            await self.turns(1)
        assert len(self.fetched_by) <= 2

    async def test_a_look_that_fails_takes_no_key_away(self) -> None:
        def refuse() -> Ring:
            raise StoreUnavailable("Parameter Store refuses: ThrottlingException.")

        self.keys = FetchedKeys(refuse, self.clock)
        self.keys.ring = self.ring
        self.keys.find(Purpose.STATE, "a-strangers")
        with pytest.raises(StoreUnavailable):
            await self.turns(1)
        [known] = self.ring.of(Purpose.STATE)
        assert self.keys.find(Purpose.STATE, known.kid) == known

    async def test_a_slow_look_stops_nobody(self) -> None:
        let_go = threading.Event()

        def slow() -> Ring:
            assert let_go.wait(60)
            return self.ring

        keys = FetchedKeys(slow, self.clock)
        looking = asyncio.create_task(keys.tend())
        await asyncio.sleep(0)
        let_go.set()  # by nobody, if the event loop stood still
        await looking


class TestAProcessThatIsKeptFromItsLooks:
    """It would go on with keys that leaked, after they were replaced everywhere else."""

    async def test_it_does_not_use_old_keys_for_ever(self) -> None:
        clock, failing = Clock(), False
        ring = Ring.fresh(clock())

        def load() -> Ring:
            if failing:
                raise StoreUnavailable("Parameter Store refuses: ThrottlingException.")
            return ring

        keys = FetchedKeys(load, clock)
        keys.refresh()
        [leaked] = ring.of(Purpose.STATE)
        failing = True
        for _ in range(STALE - 1):
            clock.advance(1)
            with suppress(StoreUnavailable):
                await keys.tend()
        assert keys.find(Purpose.STATE, leaked.kid) == leaked
        clock.advance(1)
        for use in (lambda: keys.find(Purpose.STATE, leaked.kid), lambda: keys.ring):
            with pytest.raises(StoreUnavailable, match="could not be read for 10 minutes"):
                use()
        failing = False
        clock.advance(LOOK_AGAIN)
        await keys.tend()
        assert keys.find(Purpose.STATE, leaked.kid) == leaked
        assert LOOK_AGAIN < STALE < HEAD_START


class TestKeysInTheLogOfALibrary:
    """Who reads a log that was made to look for a fault must not find what is sent to AWS."""

    @pytest.fixture(autouse=True)
    def logging_as_it_was(self) -> Iterator[None]:
        root = logging.getLogger()
        handlers, level = root.handlers, root.level
        yield
        root.handlers = handlers
        root.setLevel(level)
        for library in ("httpx", "botocore", "urllib3"):
            logging.getLogger(library).setLevel(logging.NOTSET)

    def test_no_key_is_in_it(self, capfd: pytest.CaptureFixture[str]) -> None:
        log_to_stderr("debug")
        with mock_aws():
            client = get_session().create_client(
                "ssm", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
            )
            keys = KeyParameters(client, "/keys")
            keys.make()
            made = keys.load().of(Purpose.STATE)
            client.close()
        assert made
        assert made[0].material not in capfd.readouterr().err
