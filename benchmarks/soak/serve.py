"""`opencode-relay serve` under test: killed, failing, its clock wrong, its keys rotated."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from opencode_relay.instances import Instance
from opencode_relay.keys.file import KeyFile
from opencode_relay.stores.sqlite import SQLiteStore

from benchmarks.soak import tally as is_
from benchmarks.soak.commands import Commands, free_port
from benchmarks.soak.network import Line
from benchmarks.soak.process import Process
from benchmarks.soak.tally import Tally
from benchmarks.soak.world import LEAP, RETURN_URL, SETTINGS, SKEW, Clock

SHARE = 1 / 10  # of the rate, for each call of the store: a login makes about ten
LINES = 20  # instances
_COUNTED = {is_.STORE_ERROR: "error", is_.STORE_LOST: "lost", is_.STORE_DELAY: "delay"}


class Serve:
    """A relay on one machine."""

    faults = frozenset(is_.FAULTS)
    late_writes = False
    at_once = 1500
    pause = 4.0
    rarely = 1 / 8  # it meets every login there is
    erases = True
    spare = 16

    def __init__(self, work: Path, tally: Tally, clock: Clock, source: Path) -> None:
        """`work` is a new directory; `source` holds the package `opencode_relay`."""
        self._data, self._tally, self._clock = work / "data", tally, clock
        self._data.mkdir(mode=0o700)
        self._enrol()
        self._port = free_port()
        self.issuer = f"http://127.0.0.1:{self._port}"
        self._off = 0.0
        # A command that begins while the write lock is held for long gives up, as it should.
        self._alone = asyncio.Lock()
        self.processes: list[Process] = []
        self._commands = Commands(work, source, tally.rate * SHARE, **SETTINGS)
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

    def _tell_clock(self) -> None:
        self._commands.tell_clock(self._clock.leapt + self._off)

    async def start(self) -> None:
        """Start `serve`, and return when it answers."""
        self.processes = [await self._commands.serve(self._port, "--data", str(self._data))]

    def transport(self) -> httpx.AsyncBaseTransport:
        return Line(self._port)

    async def kept(self, login_id: str) -> dict[str, Any] | None:
        row = self._reading.execute("SELECT * FROM logins WHERE id = ?", [login_id]).fetchone()
        return dict(row) if row else None

    async def kill(self) -> None:
        async with self._alone:
            await self._end()
            self._tally.met(is_.KILLED)
            await self.start()

    async def _end(self) -> None:
        while self.processes:
            if wrong := await self._commands.kill(self.processes.pop()):
                self._tally.broke(is_.WRONG, "-", wrong)

    async def rotate(self) -> None:
        command = ("keys", "rotate", "--json", "--data", str(self._data))
        async with self._alone:
            if await self._commands.run(*command):
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

    async def leap(self) -> None:
        self._clock.leapt += LEAP
        self._tell_clock()

    async def stop(self) -> None:
        if self._commands.ended:
            return
        await self._end()
        self._commands.end()
        self._reading.close()
        for fault, name in _COUNTED.items():
            path = self._commands.faults / name
            self._tally.met(fault, path.stat().st_size if path.exists() else 0)

    def logs(self) -> list[Path]:
        return self._commands.logs()

    async def stored(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self._data.glob("relay.db*"))]
