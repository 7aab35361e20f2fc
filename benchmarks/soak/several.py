"""Two `serve` processes over DynamoDB Local under test, killed in turns: what `dynamodb` soaks."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import httpx
from opencode_relay.keys.parameters import KeyParameters

from benchmarks.soak import tally as is_
from benchmarks.soak.cloud import ISSUER, Cloud
from benchmarks.soak.commands import Commands, DidNotStart, free_port
from benchmarks.soak.network import Line
from benchmarks.soak.process import Process
from benchmarks.soak.tally import Tally
from benchmarks.soak.world import LEAP, SETTINGS, SKEW, Clock
from tests.aws.ric_wire import INSTANCES, KEYS_PATH, LOGINS

LINES = 20  # instances
_SETTINGS = {
    "RELAY_PUBLIC_URL": ISSUER,
    **SETTINGS,
    "RELAY_STORE": "dynamodb",
    "RELAY_LOGINS_TABLE": LOGINS,
    "RELAY_INSTANCES_TABLE": INSTANCES,
    "RELAY_KEYS_PATH": KEYS_PATH,
    "AWS_ACCESS_KEY_ID": "relay",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class _Balancer(httpx.AsyncBaseTransport):
    """Gives each request to the next process, and to the other one where nobody listens."""

    def __init__(self, ports: list[int]) -> None:
        self._lines = [Line(port) for port in ports]
        self._turns = itertools.cycle(self._lines)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in self._lines[1:]:
            try:
                return await next(self._turns).handle_async_request(request)
            except httpx.ConnectError:
                pass
        return await next(self._turns).handle_async_request(request)

    async def aclose(self) -> None:
        for line in self._lines:
            await line.aclose()


class Several:
    """A relay of two processes."""

    faults = frozenset(is_.FAULTS) - {is_.LOCKED}
    late_writes = True  # a process that gave a request up leaves it on its way
    at_once = 300
    pause = 2.0
    rarely = 1 / 2  # it meets the logins of one process
    erases = False  # DynamoDB does
    spare = 64  # connections to AWS among them, which are kept
    issuer = ISSUER

    def __init__(self, work: Path, tally: Tally, clock: Clock, source: Path) -> None:
        """`work` is a new directory; `source` holds the package `opencode_relay`."""
        self._tally, self._clock = tally, clock
        self._cloud = Cloud(work, tally)
        self._keys = KeyParameters(self._cloud.tap.client("ssm"), KEYS_PATH, clock.now)
        self._ports = [free_port(), free_port()]
        self._offs = dict.fromkeys(self._ports, 0)
        self.processes: list[Process] = []
        settings = {**_SETTINGS, **self._cloud.tap.environment()}
        self._commands = Commands(work, source, 0, **settings)
        self.instance_keys: list[str] = []

    async def start(self) -> None:
        self._keys.make()
        self._tell_clocks()
        self.processes = [await self._serve(port) for port in self._ports]
        self.instance_keys = await self._cloud.enrol(LINES, self._clock.now())

    def transport(self) -> httpx.AsyncBaseTransport:
        return _Balancer(self._ports)

    async def kept(self, login_id: str) -> dict[str, Any] | None:
        return await self._cloud.kept(login_id)

    async def kill(self) -> None:
        port = await self._end()
        self._tally.met(is_.KILLED)
        self.processes.append(await self._serve(port))

    async def _end(self) -> int:
        """End the process that began first; return its port."""
        process = self.processes.pop(0)
        if wrong := await self._commands.kill(process):
            self._tally.broke(is_.WRONG, "-", wrong)
        return process.port

    async def _serve(self, port: int) -> Process:
        """Start a process again and again, as whoever runs containers does: AWS may be failing."""
        while True:
            try:
                return await self._commands.serve(port)
            except DidNotStart as wrong:
                if "DynamoDB" not in str(wrong) and "Parameter Store" not in str(wrong):
                    raise

    async def rotate(self) -> None:
        await asyncio.to_thread(self._keys.rotate)
        self._tally.met(is_.ROTATED)

    async def lock(self) -> None:
        raise NotImplementedError("DynamoDB has no such lock")

    async def shift(self) -> None:
        """Let one of the clocks be wrong, so that they differ."""
        wrong, off = map(self._tally.random.choice, (self._ports, (-SKEW, SKEW)))
        self._offs = dict.fromkeys(self._ports, 0) | {wrong: off}
        self._tell_clocks()
        self._tally.met(is_.RELAY_CLOCK)

    async def leap(self) -> None:
        self._clock.leapt += LEAP
        self._tell_clocks()

    def _tell_clocks(self) -> None:
        for port, off in self._offs.items():
            self._commands.tell_clock(self._clock.leapt + off, port)

    async def stop(self) -> None:
        if not self._commands.ended:
            while self.processes:
                await self._end()
            self._commands.end()
        self._cloud.close()

    def logs(self) -> list[Path]:
        return self._commands.logs()

    async def stored(self) -> list[bytes]:
        return await self._cloud.stored()
