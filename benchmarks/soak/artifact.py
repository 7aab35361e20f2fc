"""The built Lambda artifact under test, on DynamoDB Local: what `lambda` soaks.

Its functions run as in tests/aws, a few environments of each, and their faults come from the tap
between them and DynamoDB.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.keys.ring import MAX_AGE

from benchmarks.soak import tally as is_
from benchmarks.soak.cloud import ISSUER, Cloud
from benchmarks.soak.fleet import ROTATE, Fleet
from benchmarks.soak.process import Process
from benchmarks.soak.tally import Tally
from benchmarks.soak.world import LEAP, SETTINGS, SKEW, Clock
from tests.aws.conftest import build
from tests.aws.ric import LIMIT, FunctionFailed
from tests.aws.ric_gateway import Gateway
from tests.aws.ric_wire import INSTANCES, KEYS_PATH, LOGINS

LINES = 4  # instances
_SETTINGS = {
    "RELAY_PUBLIC_URL": ISSUER,
    **SETTINGS,
    "LOGINS_TABLE": LOGINS,
    "INSTANCES_TABLE": INSTANCES,
    "KEYS_PATH": KEYS_PATH,
}


class Artifact:
    """A relay on AWS, as far as one machine can be that."""

    faults = frozenset(is_.FAULTS) - {is_.LOCKED, is_.UNFINISHED, is_.HUNG_UP}
    late_writes = True  # a function that gave a request up leaves it on its way
    at_once = 120
    pause = 1.0
    rarely = 1 / 2  # it meets the logins of one process
    erases = False  # DynamoDB does
    spare = 0
    issuer = ISSUER

    def __init__(self, work: Path, tally: Tally, clock: Clock, source: Path) -> None:
        """`work` is a new directory; `source` is a copy of functions/ with its build script."""
        self._tally, self._clock = tally, clock
        self._logs = work / "logs"
        self._logs.mkdir()
        artifact = build(work / "artifact", source=source)
        self._cloud = Cloud(self._logs, tally)
        self._tap = self._cloud.tap
        self._clocks = [work / f"clock{off}" for off in (0, SKEW, -SKEW)]
        self._ticking = True
        self._ticks = threading.Thread(target=self._tick, daemon=True)
        variables = {**_SETTINGS, **self._tap.environment()}
        self.fleet = Fleet(artifact, self._logs, variables, self._clocks, tally)
        self._keys = KeyParameters(self._tap.client("ssm"), KEYS_PATH, clock.now)
        self._rotating, self._rotated = asyncio.Lock(), False
        self.instance_keys: list[str] = []
        self.processes: list[Process] = []  # none that lasts

    def _tick(self) -> None:
        files = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in self._clocks]
        while self._ticking:
            for file, off in zip(files, (0, SKEW, -SKEW), strict=True):
                os.pwrite(file, struct.pack("d", self._clock.now() + off), 0)
            time.sleep(0.01)
        for file in files:
            os.close(file)

    async def start(self) -> None:
        # One thread a request: each waits for its function's answer.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(256))
        # So old that the rotation on schedule is due, for a clock that is behind too.
        long_ago = self._clock.now() - MAX_AGE - 2 * SKEW
        made = KeyParameters(self._tap.client("ssm"), KEYS_PATH, lambda: long_ago)
        await asyncio.to_thread(made.make)
        self.instance_keys = await self._cloud.enrol(LINES, self._clock.now())
        self._ticks.start()

    def transport(self) -> httpx.AsyncBaseTransport:
        return Gateway(self.fleet)

    async def kept(self, login_id: str) -> dict[str, Any] | None:
        return await self._cloud.kept(login_id)

    async def kill(self) -> None:
        """Kill an environment in the middle of an invocation."""
        for _ in range(1000):
            if self.fleet.busy and self.fleet.kill(self._tally.random.choice(self.fleet.busy)):
                self._tally.met(is_.KILLED)
                return
            await asyncio.sleep(0.01)

    async def rotate(self) -> None:
        """Let the schedule come, at first when it is due; later an operator rotates before it."""
        async with self._rotating:
            before = dict(self._tap.parameters)
            if self._rotated:
                await asyncio.to_thread(self._keys.rotate)
            for _ in range(10):
                with contextlib.suppress(FunctionFailed):
                    await asyncio.to_thread(self.fleet.invoke, ROTATE, {}, LIMIT)
                    break
            if any(before[name] == now for name, now in self._tap.parameters.items()):
                self._tally.broke(is_.WRONG, "-", "the keys were not rotated")
            self._rotated = True
            self._tally.met(is_.ROTATED)

    async def lock(self) -> None:
        raise NotImplementedError("DynamoDB has no such lock")

    async def shift(self) -> None:
        """Environments have clocks that differ for as long as they live."""

    async def leap(self) -> None:
        # A new key is used after two leaps, and an environment reads the keys at its start: in two
        # leaps of these minutes its five until it reads them again do not pass.
        self.fleet.age += 1
        killed = await asyncio.to_thread(self.fleet.retire, self.fleet.age - 2)
        self._tally.met(is_.KILLED, killed)
        self._clock.leapt += LEAP

    async def stop(self) -> None:
        if not self._ticking:
            return
        self._ticking = False
        await asyncio.to_thread(self.fleet.stop)
        self._ticks.join()
        self._tally.met(is_.RELAY_CLOCK, self.fleet.skewed)
        self._cloud.close()

    def logs(self) -> list[Path]:
        return sorted(self._logs.glob("*.log"))

    async def stored(self) -> list[bytes]:
        return await self._cloud.stored()
