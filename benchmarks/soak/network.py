"""What lies between people, instances and the relay: it cuts answers, and hears what is told."""

from __future__ import annotations

import hashlib
import re

import httpx

from benchmarks.soak.tally import CUT, READ, Tally

_RESPONSE = re.compile(r"/v1/logins/([\w-]+)/response")


class Network(httpx.AsyncBaseTransport):
    """A transport that cuts some answers after their headers.

    Whoever collects a login must get the same bytes: `sealed` remembers them by their hash.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, tally: Tally, sealed: dict[str, bytes]
    ) -> None:
        self._inner = inner
        self._tally = tally
        self._sealed = sealed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if self._tally.due(CUT, 1 / 4):
            await answer.aclose()
            self._tally.met(CUT)
            raise httpx.ReadError("cut after the headers", request=request)
        found = _RESPONSE.fullmatch(request.url.path)
        if found and answer.status_code == httpx.codes.OK:
            told = hashlib.sha256(await answer.aread()).digest()[:16]
            if self._sealed.setdefault(found[1], told) != told:
                self._tally.broke(READ, found[1], "collected twice, with different bytes")
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()
