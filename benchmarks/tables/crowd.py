"""A login while 10,000 others wait, beside one while 10 wait.

The login is that of the table `delivery`. Before and after the logins the server's CPU is read for
a second in which nobody does anything but wait; what that comes to in the time of the logins is
subtracted. What is left is what a crowd adds to a login.

All fits into one wait of 25 s, so nobody asks again while it is measured: that costs the same in
any crowd, and would be subtracted too. One instance opens all the logins; the relay's limits are
lifted for it.
"""

import asyncio
import time
from statistics import median

from benchmarks.contenders import relay
from benchmarks.harness.processes import Server
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import CLIENT_SHARE, CPU, P50, SHARE, TRIES, Busy, Plan, Rows
from benchmarks.harness.streams import Loop, wait
from benchmarks.tables._logins import Logins, room_for
from benchmarks.tables.delivery import Deliveries, relayed

FEW, MANY, COUNT, AT_MOST = 10, 10_000, 500, 1.2
IDLE = "waiting alone, ms of CPU a second"
SECONDS = 1  # of reading what waiting alone costs


def row(waiters: int) -> str:
    return f"a login while {waiters:,} wait"


async def idle(server: Server) -> float:
    """Return seconds of CPU a second while nobody does anything but wait."""
    cpu, began = server.cpu(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    return (server.cpu() - cpu) / (time.perf_counter() - began)


def once(loop: Loop, waiting: list[bytes], deliveries: Deliveries) -> dict[str, float] | None:
    """Return the figures of a round, or None if it is void.

    It is where the client was the bottleneck, and where a waiter was sent home meanwhile, for it
    had waited 25 s.
    """
    server = deliveries.server
    streams = loop.run(wait(server, waiting))
    before = loop.run(idle(server))
    cpu, own, began = server.cpu(), time.process_time(), time.perf_counter()
    taken = deliveries.run()
    cpu, own, wall = server.cpu() - cpu, time.process_time() - own, time.perf_counter() - began
    alone = (before + loop.run(idle(server))) / 2
    waited = all(stream.waits() for stream in streams)
    for stream in streams:
        stream.leave()
    deliveries.check()
    if not waited or own / wall > CLIENT_SHARE:
        return None
    return {
        CPU: (cpu - alone * wall) / len(taken) * 1e6,
        P50: median(taken) * 1e3,
        IDLE: alone * 1e3,
        SHARE: own / wall,
    }


def valid(loop: Loop, waiting: list[bytes], deliveries: Deliveries, count: int) -> dict[str, float]:
    for _ in range(TRIES):
        deliveries.prepare(count)
        figures = once(loop, waiting, deliveries)
        if figures:
            return figures
    raise Busy(f"{TRIES} rounds running were void: is anything else running on this machine?")


def measure(plan: Plan) -> Result:
    many = 100 if plan.quick else MANY
    rows: Rows = {row(FEW): {}, row(MANY): {}}
    env = room_for(many) | {"RELAY_LOGIN_LIFETIME": "1800"}  # the same ones wait in every round
    with relay.relay(env) as (server, key), Loop() as loop:
        logins = Logins(server, key)
        waiting = [logins.wait(login) for login in logins.open_many(many)]
        deliveries = Deliveries(server, loop, relayed(logins))
        for _ in range(plan.rounds + 1):  # the first one is to warm up
            for name, some in ((row(FEW), waiting[:FEW]), (row(MANY), waiting)):
                for column, value in valid(loop, some, deliveries, plan.count(COUNT)).items():
                    rows[name].setdefault(column, []).append(value)
    for columns in rows.values():
        for values in columns.values():
            del values[0]
    goals = [Goal(row(MANY), row(FEW), CPU, AT_MOST)]
    return Result("A login in a crowd", rows, goals, {"opencode-relay": relay.VERSION})
