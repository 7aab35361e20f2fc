"""How `doctor` asks: answers of up to 1 MB, and nothing that has to be unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import httpx

from opencode_relay import outgoing

MOST = 1_000_000  # bytes of an answer; the largest of a relay's has a few thousand
_PAGE = 16_384  # bytes of a page that are looked at: patterns take their time with more


class TooMuch(httpx.RequestError):
    """An answer that is longer than any of a relay's, or packed."""


def asking() -> httpx.Client:
    """Make a client that reads no answer further than `MOST`; it raises TooMuch."""
    web = outgoing.blocking()
    web.headers["Accept-Encoding"] = "identity"
    web.event_hooks["response"].append(_bound)
    return web


def _bound(answer: httpx.Response) -> None:
    packed = answer.headers.get("content-encoding", "identity") != "identity"
    answer.stream = _Bounded(cast("httpx.SyncByteStream", answer.stream), packed=packed)


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, *, packed: bool) -> None:
        self._stream = stream
        self._packed = packed

    def __iter__(self) -> Iterator[bytes]:
        # A packed answer that is small on the way may be anything once it is unpacked.
        if self._packed:
            raise TooMuch("the answer is packed, though that was not asked for")
        left = MOST
        for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise TooMuch(f"the answer has more than {MOST} bytes")
            yield piece

    def close(self) -> None:
        self._stream.close()


def text_of(page: httpx.Response) -> str:
    """Return the beginning of a page; it is UTF-8, whatever it calls itself."""
    return page.content[:_PAGE].decode("utf-8", "replace")
