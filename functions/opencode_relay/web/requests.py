"""Reading a request strictly: bodies with a limit, parameters that are given once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.requests import Request

from opencode_relay import addresses
from opencode_relay.errors import Refused
from opencode_relay.secret import Secret

_PURPOSE = {b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"}
_EARLY = re.compile(b"prefetch|prerender|preview", re.IGNORECASE)
FORM = "application/x-www-form-urlencoded"


async def read_body(request: Request, most: int) -> bytes | None:
    """Return the body, or None as soon as it is longer than `most` bytes."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return body


def media_type(request: Request) -> str:
    """Return the body's media type, without parameters; empty where none or several are named."""
    named = request.headers.getlist("content-type")
    return named[0].partition(";")[0].strip().lower() if len(named) == 1 else ""


def parse_once(raw: bytes) -> dict[str, str] | None:
    """Parse a query or a form; None if a parameter is given twice or bytes are no UTF-8.

    Of two values a relay could check one and an instance use the other.
    """
    try:
        pairs = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError:
        return None
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def bearer(request: Request) -> Secret | None:
    """Return the bearer token (RFC 6750), empty where the header is something else."""
    sent = request.headers.getlist("authorization")
    if not sent:
        return None
    scheme, _, token = sent[0].partition(" ")
    good = len(sent) == 1 and scheme.lower() == "bearer"
    return Secret(token.strip(" ") if good else "")


def wait_seconds(request: Request, most: int) -> int:
    """Read `wait`, clamped to `most` seconds. Raises Refused `invalid-request`."""
    query = parse_once(request.scope["query_string"])
    text = "" if query is None else query.get("wait", "0")
    if not (text.isascii() and text.isdigit()):
        raise Refused("invalid-request", f"wait must be whole seconds from 0 to {most}, once.")
    return most if len(text) > 4 else min(int(text), most)  # noqa: PLR2004


def client_address(request: Request) -> str:
    """The peer's address, which uvicorn has already replaced behind a trusted proxy.

    That takes a port off, and otherwise gives what the header says, which may be any text.
    """
    return addresses.client(request.client.host) if request.client else "unknown"


def fetched_early(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request says that nobody has asked for the page yet: a prefetch, or a preview.

    `Sec-Purpose` is the standard's; Opera and old Chromium send `Purpose`, Safari `X-Purpose`,
    Firefox sent `X-Moz`.
    """
    return any(name in _PURPOSE and _EARLY.search(value) for name, value in headers)


async def disconnected(request: Request) -> None:
    """Return when the client has gone: who left must not cost a waiting place."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
