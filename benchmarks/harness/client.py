"""The one client of every contender: HTTP/1.1 over kept connections, at little cost of its own."""

import re
import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .processes import PATIENCE

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_BODILESS = (b"HTTP/1.1 204", b"HTTP/1.1 304")


def request(
    method: str,
    path: str,
    port: int,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return a whole request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came, and the seconds from sending the request to its last byte."""

    raw: bytes
    seconds: float

    @property
    def status(self) -> int:
        return int(self.raw[9:12])

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def body(self) -> bytes:
        head, _, body = self.raw.partition(b"\r\n\r\n")
        return _unchunk(body) if _CHUNKED.search(head + b"\r\n") else body

    def header(self, name: str) -> str:
        found = re.search(rf"(?im)^{name}: *(.*?)\r?$", self.head)
        return found[1] if found else ""


def exchange(port: int, requests: Sequence[bytes], connections: int = 1) -> list[Answer]:
    """Send all requests, one at a time on each connection, and return the answers in their order.

    It only finds where an answer ends; reading it is left for after the measurement.
    """
    answers: list[Answer | None] = [None] * len(requests)
    waiting = iter(enumerate(requests))
    under_way: dict[int, tuple[socket.socket, int, float, bytes]] = {}
    poll = select.epoll()
    opened = [_connect(port) for _ in range(min(connections, len(requests)))]
    now = time.perf_counter

    def send_next(connection: socket.socket) -> None:
        number, content = next(waiting, (-1, b""))
        if number < 0:
            under_way.pop(connection.fileno(), None)
            return
        under_way[connection.fileno()] = (connection, number, now(), b"")
        connection.sendall(content)

    try:
        for connection in opened:
            poll.register(connection, select.EPOLLIN)
            send_next(connection)
        while under_way:
            events = poll.poll(PATIENCE)
            if not events:
                raise TimeoutError(f"No answer to {len(under_way)} requests in {PATIENCE} s.")
            for fileno, _ in events:
                connection, number, sent, got = under_way[fileno]
                part = connection.recv(262144)
                if not part:
                    raise ConnectionError(f"The server hung up on {requests[number][:200]!r}.")
                got += part
                if complete(got):
                    answers[number] = Answer(got, now() - sent)
                    send_next(connection)
                else:
                    under_way[fileno] = (connection, number, sent, got)
    finally:
        poll.close()
        for connection in opened:
            connection.close()
    return [answer for answer in answers if answer]


def ask(port: int, content: bytes) -> Answer:
    """Send one request."""
    return exchange(port, [content])[0]


def complete(got: bytes) -> bool:
    """Tell whether these bytes are a whole answer (RFC 9112, without trailers)."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = got[: end + 2]
    if head.startswith(_BODILESS):
        return True
    if length := _LENGTH.search(head):
        return len(got) >= end + 4 + int(length[1])
    if _CHUNKED.search(head):
        return got.endswith(b"\r\n0\r\n\r\n")
    raise ValueError(f"An answer that tells no length: {head!r}")


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _unchunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        whole += body[:length]
        body = body[length + 2 :]
        if not length:
            break
    return whole
