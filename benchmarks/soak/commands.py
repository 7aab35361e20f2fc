"""The launcher's other end: commands of `opencode-relay` that share one clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from benchmarks.soak.network import Line
from benchmarks.soak.process import Process

LAUNCH = Path(__file__).with_name("launch.py")
STARTS = 30  # seconds that a start may take


def free_port() -> int:
    """Find a port that the system gives no client.

    One who connects to a port where nobody listens just now, and is given that very port to come
    from, is connected to itself; and the relay, when it is back, finds its port taken.
    """
    while True:
        port = secrets.choice(range(20_000, 30_000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class DidNotStart(Exception):
    """What it was told in the log."""


class Commands:
    """Runs commands of the package in `source`; `rate` is of the store's faults in `serve`."""

    def __init__(self, work: Path, source: Path, rate: float, **settings: str) -> None:
        self._work = work
        self.faults = work / "faults"
        self.faults.mkdir()
        self._clock_file = work / "clock"
        self.tell_clock(0)
        self._telling = asyncio.Lock()
        self._metrics: dict[int, int] = {}  # ports, by those of who serves
        self._fresh = 0  # only where none has begun before, nobody else has come by now
        own = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        self._launcher = subprocess.Popen(
            [sys.executable, LAUNCH, self._clock_file, self.faults, str(rate)],
            env={**own, **settings, "PYTHONPATH": str(source), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell_clock(self, ahead: float, port: int | None = None) -> None:
        """Set the clock of all that is started, or that of who serves on a port."""
        # In place and at once: the relay reads these eight bytes at any time.
        handle = os.open(self._clock_of(port), os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(handle, struct.pack("d", ahead), 0)
        os.close(handle)

    def _clock_of(self, port: int | None) -> Path:
        return self._clock_file.with_name(f"clock-{port}") if port else self._clock_file

    async def _launch(self, **command: Any) -> int:
        """Have a command carried out; return what the launcher answers."""

        def tell() -> int:
            assert self._launcher.stdin
            assert self._launcher.stdout
            self._launcher.stdin.write(json.dumps(command) + "\n")
            self._launcher.stdin.flush()
            return int(self._launcher.stdout.readline())

        async with self._telling:
            return await asyncio.to_thread(tell)

    async def serve(self, port: int, *where: str) -> Process:
        """Start `serve`, and return its process when it answers. Raises DidNotStart."""
        log = self._work / f"serve-{port}.log"
        arguments = ["serve", "--port", str(port), *where]
        own = self._clock_of(port)
        # One that was looked for later could be that of a relay that is down just now.
        if port not in self._metrics:
            self._metrics[port] = free_port()
        clock = str(own if own.exists() else self._clock_file)
        settings = {"RELAY_METRICS_PORT": str(self._metrics[port])}
        process = Process(
            await self._launch(run=arguments, log=str(log), clock=clock, settings=settings),
            port,
            self._metrics[port],
        )
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(transport=Line(port), base_url=url) as http:
            for _ in range(STARTS * 100):
                try:
                    await http.get("/healthz", timeout=STARTS)
                except httpx.TransportError:
                    if await self._launch(ended=process.id):
                        break
                    await asyncio.sleep(0.01)
                else:
                    self._fresh = process.fresh = self._fresh or process.descriptors()
                    return process
        raise DidNotStart(log.read_text()[-1000:])

    async def kill(self, process: Process) -> str | None:
        """Kill a process; return what is wrong where it had ended before."""
        ended = await self._launch(kill=process.id)
        return None if ended == -signal.SIGKILL else f"serve had ended by itself, with {ended}"

    async def run(self, *arguments: str) -> int:
        """Run a command to its end; return its exit status."""
        log = str(self._work / f"{arguments[1]}.log")
        return await self._launch(wait=await self._launch(run=arguments, log=log))

    @property
    def ended(self) -> bool:
        return self._launcher.poll() is not None

    def end(self) -> None:
        assert self._launcher.stdin
        self._launcher.stdin.close()
        self._launcher.wait()

    def logs(self) -> list[Path]:
        return sorted(self._work.glob("*.log"))
