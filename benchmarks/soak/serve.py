"""`opencode-relay serve` under test: killed, failing, its clock wrong, its keys rotated."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from opencode_relay.instances import Instance
from opencode_relay.keys.file import KeyFile
from opencode_relay.stores.sqlite import SQLiteStore

from benchmarks.soak import tally as is_
from benchmarks.soak.network import Line, unfinished
from benchmarks.soak.tally import Tally
from benchmarks.soak.world import LEAP, LIFETIME, RETURN_URL, SKEW, Clock

LAUNCH = Path(__file__).with_name("launch.py")
SHARE = 1 / 10  # of the rate, for each call of the store: a login makes about ten
LINES = 20  # instances
STARTS = 30  # seconds that a start may take
_COUNTED = {is_.STORE_ERROR: "error", is_.STORE_LOST: "lost", is_.STORE_DELAY: "delay"}
_SETTINGS = {
    "RELAY_LOG_LEVEL": "debug",
    "RELAY_LOGIN_LIFETIME": str(LIFETIME),
    "RELAY_OPEN_LIMIT": "1000000",  # counted, but everybody here comes from one address
    "RELAY_ADDRESS_LIMIT": "1000000",
}


def _free_port() -> int:
    """Find a port that the system gives no client.

    One who connects to a port where nobody listens just now, and is given that very port to come
    from, is connected to itself; and the relay, when it is back, finds its port taken.
    """
    while True:
        port = secrets.choice(range(20_000, 30_000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Serve:
    """A relay on one machine."""

    faults = frozenset(is_.FAULTS)
    late_writes = False
    at_once = 1500
    pause = 4.0

    def __init__(self, work: Path, tally: Tally, clock: Clock, source: Path) -> None:
        """`work` is a new directory; `source` holds the package `opencode_relay`."""
        self._work, self._data, self._tally, self._clock = work, work / "data", tally, clock
        self._data.mkdir(mode=0o700)
        (work / "faults").mkdir()
        self._enrol()
        self._port = _free_port()
        self.issuer = f"http://127.0.0.1:{self._port}"
        self._off = 0.0
        self._tell_clock()
        # A command that begins while the write lock is held for long gives up, as it should.
        self._alone, self._telling = asyncio.Lock(), asyncio.Lock()
        self._process = 0
        own = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        self._launcher = subprocess.Popen(
            [sys.executable, LAUNCH, self._clock_file, work / "faults", str(tally.rate * SHARE)],
            env={**own, **_SETTINGS, "PYTHONPATH": str(source), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        uri = f"file:{self._data / 'relay.db'}?mode=ro"
        self._reading = sqlite3.connect(uri, uri=True, isolation_level=None)
        self._reading.row_factory = sqlite3.Row

    def _enrol(self) -> None:
        async def enrol() -> None:
            for number in range(LINES):
                instance, key = Instance.enrol(f"workshop {number}", [RETURN_URL], time.time())
                await store.add_instance(instance)
                self.instance_keys.append(key.reveal())

        self.instance_keys: list[str] = []
        KeyFile(self._data).load()
        store = SQLiteStore(self._data)
        with closing(store):
            steps = enrol()
            try:
                steps.send(None)
            except StopIteration:
                return
            raise RuntimeError("SQLite's store is expected not to wait")

    @property
    def _clock_file(self) -> Path:
        return self._work / "clock"

    def _tell_clock(self) -> None:
        # In place and at once: the relay reads these eight bytes at any time.
        handle = os.open(self._clock_file, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(handle, struct.pack("d", self._clock.leapt + self._off), 0)
        os.close(handle)

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

    async def start(self) -> None:
        """Start `serve`, and return when it answers."""
        arguments = ["serve", "--port", str(self._port), "--data", str(self._data)]
        self._process = await self._launch(run=arguments, log=str(self._work / "serve.log"))
        async with httpx.AsyncClient(transport=Line(self._port), base_url=self.issuer) as http:
            for _ in range(STARTS * 100):
                try:
                    await http.get("/healthz", timeout=STARTS)
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
                else:
                    return
        told = (self._work / "serve.log").read_text()[-1000:]
        raise RuntimeError(f"serve does not start: {told}")

    def transport(self) -> httpx.AsyncBaseTransport:
        return Line(self._port)

    async def kept(self, login_id: str) -> dict[str, Any] | None:
        row = self._reading.execute("SELECT * FROM logins WHERE id = ?", [login_id]).fetchone()
        return dict(row) if row else None

    async def kill(self) -> None:
        async with self._alone:
            ended = await self._launch(kill=self._process)
            if ended != -signal.SIGKILL:
                self._tally.broke(is_.WRONG, "-", f"serve had ended by itself, with {ended}")
            self._tally.met(is_.KILLED)
            await self.start()

    async def rotate(self) -> None:
        command = ["keys", "rotate", "--json", "--data", str(self._data)]
        async with self._alone:
            process = await self._launch(run=command, log=str(self._work / "rotate.log"))
            if await self._launch(wait=process):
                self._tally.broke(is_.WRONG, "-", "`keys rotate` failed")
        self._tally.met(is_.ROTATED)

    async def lock(self) -> None:
        """Hold the database's write lock, mostly shorter than the relay waits for it."""
        seconds = self._tally.random.choice([0.02, 0.05, 0.1, 0.2, 0.2, 0.3, 0.3, 1.2])

        def hold() -> None:
            with closing(sqlite3.connect(self._data / "relay.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                time.sleep(seconds)
                other.execute("ROLLBACK")

        async with self._alone:
            await asyncio.to_thread(hold)
        self._tally.met(is_.LOCKED)

    async def shift(self) -> None:
        self._off = self._tally.random.choice([off for off in (-SKEW, 0, SKEW) if off != self._off])
        self._tell_clock()
        self._tally.met(is_.RELAY_CLOCK)

    async def linger(self) -> None:
        await unfinished(self._port, self._tally)

    async def leap(self) -> None:
        self._clock.leapt += LEAP
        self._tell_clock()

    async def stop(self) -> None:
        if self._launcher.poll() is not None:
            return
        await self._launch(kill=self._process)
        assert self._launcher.stdin
        self._launcher.stdin.close()
        self._launcher.wait()
        self._reading.close()
        for fault, name in _COUNTED.items():
            path = self._work / "faults" / name
            self._tally.met(fault, path.stat().st_size if path.exists() else 0)

    def logs(self) -> list[Path]:
        return sorted(self._work.glob("*.log"))

    async def stored(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self._data.glob("relay.db*"))]
