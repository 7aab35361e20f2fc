"""Runs `opencode-relay` commands for a soak, each forked from here, where all is imported already.

    python launch.py CLOCK FAULTS RATE

So a relay that was killed is back in a moment, and not its imports are what is soaked. CLOCK names
a file with the seconds that the relay's clock is ahead. Of the store's calls in `serve`, a share of
RATE fails or is late; each fault is a byte in a file in FAULTS. Commands are JSON lines on stdin:
{"run": [argument, …], "log": path, "clock": path, "settings": {…}} answers with a process id (clock
and settings, where they are given, are of this one alone), {"kill": id} and {"wait": id} with
what became of it, {"ended": id} with 1 where it has ended by itself. With stdin they all end.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import struct
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

CLOCK, FAULTS, RATE = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
LATE = 0.3  # seconds at most
_KINDS = ("error", "lost", "delay")
_STORE = ("create", "get", "apply", "hit", "count", "get_instance")

_real, _clock = time.time, os.open(CLOCK, os.O_RDONLY)
# Before the relay is imported: it takes the function, not the module.
time.time = lambda: _real() + float(struct.unpack("d", os.pread(_clock, 8, 0))[0])
if os.environ.get("RELAY_STORE") == "dynamodb":
    _passes = time.monotonic
    # It paces the look for new keys, which are used sooner where time leaps.
    time.monotonic = lambda: _passes() + float(struct.unpack("d", os.pread(_clock, 8, 0))[0])
    import boto3  # noqa: F401
    import botocore.endpoint  # noqa: F401

import prometheus_client  # noqa: E402, F401
import uvicorn.loops.uvloop  # noqa: E402
import uvicorn.protocols.http.httptools_impl  # noqa: E402, F401
from opencode_relay.cli import main  # noqa: E402
from opencode_relay.errors import StoreUnavailable  # noqa: E402
from opencode_relay.stores.sqlite import SQLiteStore  # noqa: E402

Method = Callable[..., Awaitable[Any]]


def faulty(method: Method) -> Method:
    """Let some calls of a store's method fail, before or after they are carried out, or wait."""

    @wraps(method)
    async def call(*given: Any, **named: Any) -> Any:
        if random.random() >= RATE:  # noqa: S311
            return await method(*given, **named)
        kind = random.choice(_KINDS)  # noqa: S311
        with (FAULTS / kind).open("ab") as counted:
            counted.write(b".")
        if kind == "error":
            raise StoreUnavailable("A fault of the soak.")
        if kind == "delay":
            await asyncio.sleep(random.uniform(0, LATE))  # noqa: S311
        answer = await method(*given, **named)
        if kind == "lost":
            raise StoreUnavailable("A fault of the soak.")
        return answer

    return call


def run(
    arguments: list[str], log: str, clock: str = CLOCK, settings: dict[str, str] | None = None
) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        handle = os.open(clock, os.O_RDONLY)
        os.dup2(handle, _clock)
        os.close(handle)
        os.environ.update(settings or {})
        random.seed()
        if arguments[0] == "serve":
            for name in _STORE:
                setattr(SQLiteStore, name, faulty(getattr(SQLiteStore, name)))
        sys.argv = ["opencode-relay", *arguments]
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:  # noqa: BLE001  # it must not come back as a second launcher
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def obey() -> None:
    children: set[int] = set()
    try:
        for line in sys.stdin:
            command = json.loads(line)
            if "run" in command:
                answer = run(command.pop("run"), **command)
                children.add(answer)
            elif "ended" in command:
                answer = int(bool(os.waitpid(command["ended"], os.WNOHANG)[0]))
                if answer:
                    children.discard(command["ended"])
            else:
                if "kill" in command:
                    os.kill(command["kill"], signal.SIGKILL)
                child = command.get("kill") or command["wait"]
                answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                children.discard(child)
            print(answer, flush=True)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    obey()
