"""A request as httpx wants it, and an answer read no further than an answer goes."""

from __future__ import annotations

import time

import httpx

from .errors import NotARelay
from .steps import Answer, Send

MOST = 1_000_000  # bytes; the largest of the relay's answers has a few thousand


class Lost(Exception):
    """An answer that is not read to its end."""


def request(http: httpx.Client | httpx.AsyncClient, issuer: str, step: Send) -> httpx.Request:
    """Build the request. Raises NotARelay where its URL is none."""
    headers = {"Accept-Encoding": "identity"}
    if step.bearer:
        headers["Authorization"] = f"Bearer {step.bearer.reveal()}"
    url = issuer + step.path
    try:
        readable = bool(httpx.URL(url).host)
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: xn-- and no more
        readable = False
    if not readable:
        raise NotARelay(f"{issuer}, or an address that it names, is no URL.")
    return http.build_request(
        step.method, url, headers=headers, json=step.json, params=step.query, timeout=step.timeout
    )


class Reading:
    """Takes the pieces of an answer. Raises Lost once it is too long, in size or in time."""

    def __init__(self, response: httpx.Response, seconds: float) -> None:
        # An answer that is small on the way may be anything once it is unpacked.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Lost
        self._response = response
        self._until = time.monotonic() + seconds
        self._body = bytearray()

    def add(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > MOST or time.monotonic() > self._until:
            raise Lost

    def answer(self) -> Answer:
        return Answer(
            status=self._response.status_code,
            retry_after=self._response.headers.get("retry-after", ""),
            body=bytes(self._body),
        )
