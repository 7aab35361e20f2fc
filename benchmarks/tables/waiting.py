"""What one waiting instance takes of memory, beside one that waits at nchan.

5,000 connections wait, each for a login, or a channel, of its own, then hang up; then 5,000 others
come. Memory is the proportional set size of the whole process tree, shared memory included; not in
it are the kernel's sockets, the same for both, and the logins, which are in the relay's store. Each
round has new servers, which 50 waiters have warmed up, so that what is made once does not count.

The goal's figure is what the first 5,000 take beyond what was there before. What the second 5,000
take beyond what the first left behind is shown, but is none: nchan gives nothing back, so that they
cost next to nothing there, whatever a waiter takes.

All fits into one wait of 25 s, so nobody asks twice. One instance opens all the logins; the
relay's limits are lifted for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders import nchan, relay
from benchmarks.harness.processes import Server
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import Busy, Plan, Rows
from benchmarks.harness.streams import Loop, quiet, wait
from benchmarks.tables._logins import Logins, room_for

WAITERS, AT_MOST = 5000, 1.75
EACH, AGAIN = "memory per waiter, kB", "per waiter of the second 5,000, kB"
NOBODY, ALL, LEFT = "with nobody, MB", "with 5,000, MB", "after they have left, MB"
FEW = 50
OURS, THEIRS = "opencode-relay", "nchan"


@contextmanager
def relayed(count: int) -> Iterator[tuple[Server, list[bytes]]]:
    with relay.relay(room_for(FEW + count)) as (server, key):
        logins = Logins(server, key)
        yield server, [logins.wait(login) for login in logins.open_many(FEW + 2 * count)]


@contextmanager
def subscribed(count: int) -> Iterator[tuple[Server, list[bytes]]]:
    with nchan.nchan() as server:
        channels = (f"login-{number:018}" for number in range(FEW + 2 * count))
        yield server, [nchan.subscribe(server, channel) for channel in channels]


async def wait_and_leave(server: Server, requests: list[bytes]) -> tuple[int, int]:
    """Return the bytes used while all of them wait, and after they have left."""
    streams = await wait(server, requests)
    full = server.pss()
    if not all(stream.waits() for stream in streams):
        raise Busy("A waiter was sent home first: is anything else running on this machine?")
    for stream in streams:
        stream.leave()
    await quiet(server)
    return full, server.pss()


async def taken(server: Server, requests: list[bytes]) -> dict[str, float]:
    few, first, second = requests[:FEW], requests[FEW::2], requests[FEW + 1 :: 2]
    _, before = await wait_and_leave(server, few)
    full, left = await wait_and_leave(server, first)
    again, _ = await wait_and_leave(server, second)
    return {
        EACH: (full - before) / len(first) / 1e3,
        AGAIN: (again - left) / len(second) / 1e3,
        NOBODY: before / 1e6,
        ALL: full / 1e6,
        LEFT: left / 1e6,
    }


def measure(plan: Plan) -> Result:
    contenders = {OURS: relayed, THEIRS: subscribed}
    rows: Rows = {name: {} for name in contenders}
    for _ in range(plan.rounds):
        for name, contender in contenders.items():
            with contender(plan.count(WAITERS)) as (server, requests), Loop() as loop:
                for column, value in loop.run(taken(server, requests)).items():
                    rows[name].setdefault(column, []).append(value)
    versions = {"opencode-relay": relay.VERSION, "nchan": nchan.version()}
    return Result("5,000 instances wait", rows, [Goal(OURS, THEIRS, EACH, AT_MOST)], versions)
