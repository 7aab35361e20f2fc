"""The tables about waiting and delivery: they run, and a contender that does less is noticed."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from opencode_relay.response import SealError

from benchmarks.contenders import nchan, relay
from benchmarks.harness.client import Answer
from benchmarks.harness.processes import CLIENT_CORE, Server, pin
from benchmarks.harness.rounds import CPU, P50, Plan, Wrong, rounds
from benchmarks.harness.streams import Loop, Stream, wait
from benchmarks.tables import crowd, delivery, latency, waiting
from benchmarks.tables._logins import Logins, room_for

needs_nchan = pytest.mark.skipif(not nchan.MODULE.exists(), reason=f"needs {nchan.PACKAGE}")
QUICK = Plan(quick=True)


@pytest.fixture(autouse=True)
def client_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("server and client need a core each")
    pin(CLIENT_CORE)
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Loop() as made:
        yield made


@needs_nchan
def test_delivery() -> None:
    rows = delivery.measure(QUICK).rows
    assert min(rows[delivery.OURS][CPU]) > min(rows[delivery.THEIRS][CPU]) > 0


@needs_nchan
def test_latency() -> None:
    rows = latency.measure(QUICK).rows
    names = (latency.OURS, latency.THEIRS, latency.CLIENT)
    assert all(min(rows[name][P50]) > 0 for name in names)


@needs_nchan
def test_waiting() -> None:
    rows = waiting.measure(QUICK).rows
    assert all(rows[name][waiting.ALL][0] > 0 for name in (waiting.OURS, waiting.THEIRS))


def test_crowd() -> None:
    rows = crowd.measure(QUICK).rows
    assert [len(columns[CPU]) for columns in rows.values()] == [1, 1]


@needs_nchan
def test_a_message_that_was_not_published_is_noticed(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = nchan.publish

    def something_else(server: Server, channel: str, _: bytes) -> bytes:
        return publish(server, channel, b"y")

    monkeypatch.setattr(nchan, "publish", something_else)
    with nchan.nchan() as server:
        published = delivery.published(server, b"x")
        with pytest.raises(Wrong, match="nchan delivered"):
            rounds({"": delivery.Deliveries(server, loop, published)}, 2, QUICK)


@needs_nchan
def test_a_message_published_to_nobody_is_noticed(loop: Loop) -> None:
    """Nobody waits when it comes; who asks afterwards is delivered it all the same."""
    with nchan.nchan() as server:
        publish = delivery.published(server, b"x")

        class Late(Stream):
            def send(self, content: bytes) -> asyncio.Future[Answer]:
                self.late = content
                return asyncio.ensure_future(self.deliver())

            async def deliver(self) -> Answer:
                await asyncio.sleep(0.1)
                return await super().send(self.late)

        async def late(_: Stream, publisher: Stream) -> delivery.Check:
            running = asyncio.get_running_loop()
            made = await running.create_connection(Late, "127.0.0.1", server.port)
            return await publish(made[1], publisher)

        with pytest.raises(Wrong, match="201 was expected"):
            rounds({"": delivery.Deliveries(server, loop, late)}, 2, QUICK)


def test_a_response_that_the_instance_cannot_open_is_noticed(loop: Loop) -> None:
    with relay.relay() as (server, key):
        logins, others = Logins(server, key), Logins(server, key)
        logins.open = others.open.replace(others.challenge, logins.challenge)
        with pytest.raises(SealError):
            rounds({"": delivery.Deliveries(server, loop, delivery.relayed(logins))}, 2, QUICK)


def test_who_waits_is_told_from_who_was_answered(loop: Loop) -> None:
    with relay.relay(room_for(1)) as (server, key):
        logins = Logins(server, key)
        [pending, released] = logins.open_many(2)
        allow = logins.allow_many([released])
        logins.send_many(allow)
        streams = loop.run(wait(server, [logins.wait(pending), logins.wait(released)]))
        assert [stream.waits() for stream in streams] == [True, False]
        logins.check_delivered(released, loop.run(streams[1].answered()))


def test_a_waiter_without_a_place_is_noticed(loop: Loop) -> None:
    with relay.relay({"RELAY_MAX_WAITERS": "4"}) as (server, key):
        logins = Logins(server, key)
        requests = [logins.wait(login) for login in logins.open_many(2)]
        streams = loop.run(wait(server, requests))
        assert sorted(stream.waits() for stream in streams) == [False, True]
