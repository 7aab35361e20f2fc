"""A soak: many lives at once, faults among them, time that leaps, and the reckoning at the end."""

from __future__ import annotations

import asyncio
import mmap
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.harness.processes import pss
from benchmarks.soak import lives
from benchmarks.soak import tally as is_
from benchmarks.soak.calm import calm, unfinished
from benchmarks.soak.life import Life
from benchmarks.soak.patience import PATIENCE, GaveUp
from benchmarks.soak.world import EXPIRED, World

_LIVES = (lives.pairing, lives.completion, lives.redirect, lives.failed)
_OFTEN = (50, 30, 18, 2)


class Soak:
    """One run in a world whose target has started."""

    def __init__(self, world: World, logins: int, seconds: float | None) -> None:
        """Begin `logins` lives, or as many as begin in `seconds`."""
        self.world, self.tally, self.target = world, world.tally, world.target
        self._logins, self._seconds = logins, seconds
        self._leap_every = min(30, max(3, (seconds or 600) / 8))
        self._living: Counter[int] = Counter()  # lives by the leaps there were when they began
        self._tasks: set[asyncio.Task[None]] = set()
        self._disturbing: set[str] = set()
        self.peak = 0  # bytes of the relay's processes together (PSS), as often as it was looked at

    async def run(self) -> None:
        async with self.world.connected():
            doing = (self._leap_now_and_then(), self._look_now_and_then(), self._tell())
            beside = [asyncio.create_task(one) for one in doing]
            await self._begin()
            while self._tasks:
                await asyncio.wait(self._tasks)
            for task in beside:
                task.cancel()
            for wrong in await asyncio.gather(*beside, return_exceptions=True):
                if isinstance(wrong, Exception):
                    raise wrong
            await self._look("the database in the end")
            for _ in range(EXPIRED):
                await self._leap()
            while self._tasks:
                await asyncio.wait(self._tasks)
            await self._leap()  # beyond what is remembered of an expired login
            await calm(self.world, self._live)
        await self.target.stop()
        for path in self.target.logs():
            if path.stat().st_size:
                with (
                    path.open("rb") as file,
                    mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as log,
                ):
                    await self._search([log], path.name)

    async def _begin(self) -> None:
        places = asyncio.Semaphore(self.target.at_once)
        began = time.monotonic()
        disturbances: dict[str, Callable[[], Awaitable[None]]] = {
            is_.KILLED: self.target.kill,
            is_.LOCKED: self.target.lock,
            is_.ROTATED: self.target.rotate,
            is_.RELAY_CLOCK: self.target.shift,
            is_.UNFINISHED: self._linger,
        }
        for number in range(self._logins):
            if self._seconds and time.monotonic() > began + self._seconds:
                return
            await places.acquire()
            for fault, disturb in disturbances.items():
                if fault in self.target.faults and self.tally.due(fault, self.target.rarely):
                    self._disturb(fault, disturb, beside=fault == is_.UNFINISHED)
            self._start(self._live()).add_done_callback(lambda _: places.release())
            # Not all in one moment, though there is a place for each.
            if number < self.target.at_once:
                await asyncio.sleep(self.target.pause * 3 / self.target.at_once)

    def _disturb(self, fault: str, disturb: Callable[[], Awaitable[None]], beside: bool) -> None:
        """Do it, if the one before it is over: what queues up would come when nobody lives."""

        async def steps() -> None:
            try:
                await disturb()
                if fault == is_.ROTATED:
                    self.world.rotations.append(self.world.leaps)
            except Exception:  # noqa: BLE001  # whatever it is, it is a finding
                self.tally.broke(is_.WRONG, "-", traceback.format_exc(limit=-2))
            finally:
                self._disturbing.discard(fault)

        if beside or fault not in self._disturbing:
            self._disturbing.add(fault)
            self._start(steps())

    async def _linger(self) -> None:
        await asyncio.gather(*(unfinished(self.world, one) for one in self.target.processes))

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(60)
            ended, living = sum(self.tally.became.values()), sum(self._living.values())
            broken = dict(self.tally.broken)
            print(
                f"{ended:,} logins ended, {living:,} live, {broken=}", file=sys.stderr, flush=True
            )

    def _start(self, doing: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(doing)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _live(self) -> None:
        began = self.world.leaps
        self._living[began] += 1
        life = Life(self.world)
        [lead] = self.tally.random.choices(_LIVES, _OFTEN)
        became = await self._guarded(life, lead(life))
        self.tally.became[became] += 1
        self._living[began] -= 1

    async def _guarded(self, life: Life, steps: Awaitable[str]) -> str:
        try:
            return await steps
        except GaveUp:
            if life.owed:
                life.broke(is_.LOST, f"released, and then no answer for {PATIENCE} s")
            return is_.GAVE_UP
        except Exception:  # noqa: BLE001  # whatever it is, it is a finding
            told = "".join(traceback.format_exc(limit=-2).splitlines()[-3:])
            life.broke(is_.WRONG, f"nobody expected {told}")
            return "failed"
        finally:
            for collector in life.collectors:
                collector.cancel()

    async def _leap_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._leap_every)
            # No life that began before the last leap may meet another: it would be expired.
            while any(self._living[n] for n in range(self.world.leaps)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await self._leap()

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._leap_every)
            await self._look("the database in the run")

    async def _look(self, where: str) -> None:
        self.peak = max(self.peak, sum(pss(process.id) for process in self.target.processes))
        await self._search(await self.target.stored(), where)

    async def _leap(self) -> None:
        world = self.world
        await self.target.leap()
        world.leaps += 1
        left, world.left = world.left, []
        for leaps, life, page in left:
            if leaps + EXPIRED <= world.leaps:
                self._start(self._expire(life, page))
            else:
                world.left.append((leaps, life, page))

    async def _expire(self, life: Life, page: Any) -> None:
        self.world.expired.append(life.id)

        async def steps() -> str:
            await lives.expired(life, page)
            return ""

        if await self._guarded(life, steps()) == is_.GAVE_UP:
            self.tally.became[is_.LEFT] -= 1
            self.tally.became[is_.GAVE_UP] += 1

    async def _search(self, written: list[Any], where: str) -> None:
        for one in written:
            found = Counter(await asyncio.to_thread(list, self.tally.secrets.found_in(one)))
            for kind, times in found.items():
                self.tally.broke(is_.LEAKED, "-", f"{where} holds a {kind}, {times} times")
