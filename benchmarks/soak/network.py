"""What lies between people, instances and the relay: it loses answers, and hears what is told."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re

import httpx

from benchmarks.soak.tally import CUT, FOREIGN, HUNG_UP, READ, WRONG, Tally

_RESPONSE = re.compile(r"/v1/logins/([\w-]+)/response")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# What proxies, firewalls and portals say in the relay's place to an instance that waits.
_HTML, _JSON = ("text/html", b"<h1>Not the relay</h1>"), ("application/json", b'{"status": "ok"}')
_RELEASED = ("application/json", b'{"status": "released"}')
_PROBLEM = (
    "application/problem+json",
    b'{"type": "https://proxy.example/problems/login-expired", "status": 410}',
)
_STRANGERS = [
    *((status, _HTML) for status in (200, 202, 302, 401, 403, 404, 410, 429, 502, 504)),
    *((status, _JSON) for status in (200, 202, 404)),
    (200, _RELEASED),
    (404, _PROBLEM),
    (410, _PROBLEM),
]
# Seconds for which a caller who hangs up waits for the headers; None: until they are there.
_LEAVES = (0, 0.01, 0.2, None)


class HungUp(httpx.ReadError):
    """The caller left before it had the whole answer; the request may still be carried out."""


class Line(httpx.AsyncBaseTransport):
    """HTTP/1.1 to one port on loopback, as far as the relay speaks it, over kept connections.

    httpx's own transport takes half a millisecond a request, and a pool of many much more.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        lines = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1\r\n".encode()]
        lines += [b"%b: %b\r\n" % header for header in request.headers.raw]
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                reader, writer = await self._connection()
                try:
                    writer.write(b"".join([*lines, b"\r\n", body]))
                    if "hang_up" in request.extensions:
                        await _leave(reader, request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = _LENGTH.search(head)
                    content = await reader.readexactly(int(length[1]) if length else 0)
                except BaseException:
                    writer.close()
                    raise
        except ConnectionRefusedError as wrong:
            raise httpx.ConnectError(str(wrong), request=request) from None
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except (OSError, EOFError) as wrong:
            raise httpx.ReadError(type(wrong).__name__, request=request) from None
        self._idle.append((reader, writer))
        status, *headers = head[:-4].split(b"\r\n")
        told = [(name, value) for name, _, value in (one.partition(b": ") for one in headers)]
        return httpx.Response(int(status.split()[1]), headers=told, content=content)

    async def _connection(self) -> Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and reader.exception() is None and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def aclose(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _leave(reader: asyncio.StreamReader, request: httpx.Request) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(request.extensions["hang_up"]):
            await reader.readuntil(b"\r\n\r\n")
    raise HungUp("hung up", request=request)


class Network(httpx.AsyncBaseTransport):
    """A transport that hangs up, that loses some answers, or says things of its own.

    Whoever collects a login must get the same bytes: `sealed` remembers them by their hash.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, tally: Tally, sealed: dict[str, bytes]
    ) -> None:
        self._inner = inner
        self._tally = tally
        self._sealed = sealed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "wait" in request.url.params and self._tally.due(FOREIGN):
            self._tally.met(FOREIGN)
            status, (kind, content) = self._tally.random.choice(_STRANGERS)
            headers = {"content-type": kind, "location": "https://portal.example/"}
            return httpx.Response(status, headers=headers, content=content)
        if self._tally.due(HUNG_UP, 1 / 8):
            request.extensions["hang_up"] = self._tally.random.choice(_LEAVES)
        try:
            answer = await self._inner.handle_async_request(request)
        except HungUp:
            self._tally.met(HUNG_UP)
            raise
        # API Gateway's own has no type: a function was killed. The relay must never give one.
        if (
            answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
            and "content-type" in answer.headers
        ):
            self._tally.broke(WRONG, "-", f"500 at {request.method} {request.url.path}")
        if self._tally.due(CUT, 1 / 8):
            self._tally.met(CUT)
            raise httpx.ReadError("lost on its way", request=request)
        found = _RESPONSE.fullmatch(request.url.path)
        if found and answer.status_code == httpx.codes.OK:
            told = hashlib.sha256(answer.content).digest()[:16]
            if self._sealed.setdefault(found[1], told) != told:
                self._tally.broke(READ, found[1], "collected twice, with different bytes")
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()
