"""After a run: what a relay that has served still holds, and that it still serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.soak import tally as is_
from benchmarks.soak.process import Process
from benchmarks.soak.world import World

LOGINS = 20
TIMES = 130  # connections of each kind that are never finished, to each process
_LETS_GO = 6  # seconds in which it has let go of what is over


async def calm(world: World, live: Callable[[], Awaitable[None]]) -> None:
    """Let nothing fail any more, and look whether the relay lets go of what is over.

    `live` leads a login to its end. Time has leapt so far that every login is forgotten.
    """
    tally, target = world.tally, world.target
    rate, tally.rate = tally.rate, 0
    beginning: list[Awaitable[None]] = [live() for _ in range(LOGINS)]
    if rate:
        beginning += [unfinished(world, process, TIMES) for process in target.processes]
    await asyncio.gather(*beginning)
    for instance in world.instances:
        await instance.http.aclose()
    looking = [_lets_go(world, process) for process in target.processes]
    if target.erases:
        looking.append(_forgets(world))
    await asyncio.gather(*looking)


async def unfinished(world: World, process: Process, times: int = 1) -> None:
    await process.unfinished(world.tally, lambda: process in world.target.processes, times)


async def _lets_go(world: World, process: Process) -> None:
    """Check that it holds no descriptor and no waiter of those who have left."""
    most = process.fresh + world.target.spare
    until = time.monotonic() + _LETS_GO
    while (holds := process.descriptors()) > most or await process.waiting():
        if time.monotonic() > until:
            waiting = await process.waiting()
            what = f"{holds} descriptors, {process.fresh} when it was fresh; {waiting:.0f} waiters"
            world.tally.broke(is_.HELD, "-", what)
            return
        await asyncio.sleep(0.2)


async def _forgets(world: World) -> None:
    until = time.monotonic() + _LETS_GO
    for login_id in world.expired:
        while await world.target.kept(login_id):
            if time.monotonic() > until:
                world.tally.broke(is_.HELD, login_id, "it had expired long ago")
                break
            await asyncio.sleep(0.2)
