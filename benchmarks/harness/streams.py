"""Connections on which an answer may be long in coming: what `client.exchange` cannot wait for."""

import asyncio
import resource
import time
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvloop

from .client import Answer, complete
from .processes import PATIENCE, Server

T = TypeVar("T")


class Stream(asyncio.Protocol):
    """One kept-open connection, with one request at a time under way.

    `at` is the reading of the performance counter when its last answer was complete.
    """

    def __init__(self) -> None:
        self.at = 0.0
        self._answer: asyncio.Future[Answer] | None = None
        self._got = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def send(self, content: bytes) -> asyncio.Future[Answer]:
        """Send a whole request; what comes back is done with its answer's last byte."""
        self._answer = asyncio.get_running_loop().create_future()
        self._sent = time.perf_counter()
        self._transport.write(content)
        return self._answer

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._got += data
        if self._answer and complete(self._got):
            got, self._got = self._got, b""
            self.at = now
            self._answer.set_result(Answer(got, now - self._sent))

    def connection_lost(self, wrong: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(wrong or ConnectionError("The server hung up."))
            self._answer.exception()  # whoever still waits for it is told; nobody need be

    async def answered(self) -> Answer:
        """Return the answer to the last request, also when it has come before."""
        assert self._answer
        return await self._answer

    def waits(self) -> bool:
        """Whether a request is under way, without an answer or an end so far."""
        return self._answer is not None and not self._answer.done()

    def leave(self) -> None:
        """Hang up at once, as a process does that is killed."""
        self._transport.abort()


async def connect(server: Server) -> Stream:
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(Stream, "127.0.0.1", server.port)
    return stream


class Loop:
    """An event loop for one client; `run` carries out what is given and comes back."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(doing)

    def __enter__(self) -> Self:
        # Each connection is an open file, and the usual limit is 1,024.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()


async def wait(server: Server, requests: list[bytes]) -> list[Stream]:
    """Send each request on a connection of its own, and return once all of them are waiting."""
    streams = []
    for first in range(0, len(requests), 500):  # fewer than a listener's backlog
        some = requests[first : first + 500]
        opened = await asyncio.gather(*(connect(server) for _ in some))
        for stream, content in zip(opened, some, strict=True):
            stream.send(content)
        streams += opened
    await quiet(server)
    return streams


async def quiet(server: Server) -> None:
    """Return as soon as the server has nothing left to do: under 2 % of its core in 0.3 s."""
    for _ in range(PATIENCE * 3):
        before = server.cpu()
        await asyncio.sleep(0.3)
        if server.cpu() - before < 0.3 * 0.02:
            return
    raise TimeoutError(f"The server is not idle after {PATIENCE} s.")


async def at(moment: float) -> None:
    """Sleep until this reading of the performance counter."""
    early = moment - time.perf_counter()
    if early > 0:
        await asyncio.sleep(early)
