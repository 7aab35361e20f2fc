"""A process of the relay: what it holds, and whether it lets go of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from benchmarks.soak.tally import HELD, UNFINISHED, Tally

# What somebody sends who leaves it at that.
BEGINNINGS = (
    b"",
    b"GET /auth/callback?state=",
    b"POST /v1/logins HTTP/1.1\r\nHost: relay\r\nContent-Length: 500\r\n\r\n",
    b"POST /v1/logins HTTP/1.1\r\nHost: relay\r\nContent-Length: 500\r\n\r\n{",
)
_ENDED = 90  # seconds in which a relay that is busy ends what is not finished
_WAITING = re.compile(r"^opencode_relay_waiting (\S+)$", re.MULTILINE)


@dataclass(slots=True, eq=False)
class Process:
    """`serve`, from when it answered until it is killed."""

    id: int
    port: int
    metrics_port: int
    fresh: int = 0  # descriptors of one that nobody has used yet

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.id}/fd"))  # noqa: PTH208  # they are no paths

    async def metrics(self) -> str:
        async with httpx.AsyncClient() as http:
            url = f"http://127.0.0.1:{self.metrics_port}/metrics"
            return (await http.get(url, timeout=_ENDED)).text

    async def waiting(self) -> float:
        """Return how many instances it believes to wait."""
        found = _WAITING.search(await self.metrics())
        assert found
        return float(found[1])

    async def unfinished(self, tally: Tally, lives: Callable[[], bool], times: int = 1) -> None:
        """Begin requests and leave them: the relay has to end them, for each holds a place.

        Counts those that it has ended itself: a process that was killed shows nothing.
        """

        async def begin(sent: bytes) -> None:
            with contextlib.suppress(OSError):  # it was killed
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(sent)
                    ended = await _ended(reader, _ENDED)
                    if not ended:
                        writer.write(b"G")  # a kernel that was busy may have a half of it only
                        ended = await _ended(reader, 5)
                    if not ended:
                        tally.broke(HELD, "-", f"a connection that only sent {sent[:20]!r}")
                    elif lives():
                        tally.met(UNFINISHED)
                finally:
                    writer.close()

        await asyncio.gather(*map(begin, BEGINNINGS * times))


async def _ended(reader: asyncio.StreamReader, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await reader.read()
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True
