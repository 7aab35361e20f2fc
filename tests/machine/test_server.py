"""Connections that leave something unfinished come to an end, and those that wait do not.

A real uvicorn on loopback. What a test calls late is so because something else has happened since.
"""

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from opencode_relay.cli.loopback import Loopback
from opencode_relay.machine import server
from starlette.types import Receive, Scope, Send

from tests.e2e.processes import running
from tests.support.ports import free_port
from tests.support.served import until

SHORT = 2  # seconds instead of DEADLINE: a stall of the machine must not look like a late head
PATIENCE = 60  # seconds after which a connection counts as never ended
SMALL = 4096  # bytes of a socket's buffers
LARGE = 48_000  # bytes of a page: they do not fit, and yet writing goes on
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HOLD = GET.replace(b"/", b"/hold", 1)
PAGE = GET.replace(b"/", b"/page", 1)
CLOSE = PAGE[:-2] + b"Connection: close\r\n\r\n"
POST = b"POST" + GET[3:-2] + b"Content-Length: 1000\r\n\r\n"
CHUNKED = b"POST" + GET[3:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b"x" * 1000


class App:
    """Reads a body and answers; holds `/hold` until it is let go, and `/early` reads nothing."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.held = self.unread = self.answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/early":
            while (message := await receive()).get("more_body"):
                pass
            if message["type"] == "http.disconnect":
                self.unread += 1
                return
        if scope["path"] == "/hold":
            self.held += 1
            while not self.go.is_set():  # noqa: ASYNC110  # another thread sets it
                await asyncio.sleep(0.01)
        body = b"x" * LARGE if scope["path"] == "/page" else b"ok"
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})
        self.answered += 1


class Listening(Loopback):
    """The app on a socket whose buffers are small, with connections to it."""

    def __init__(self) -> None:
        self.app = App()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        super().__init__(lambda _: self.app, [listener])
        self.host = self.url.removeprefix("http://")
        self._stack = ExitStack()

    @property
    def running(self) -> uvicorn.Server:
        return until(lambda: self._server, "a server")  # type: ignore[no-any-return]

    @property
    def connections(self) -> int:
        return len(self.running.server_state.connections)

    def paused(self) -> bool:
        """Whether a connection is not written to for the time being."""
        connections = list(self.running.server_state.connections)
        ours = [one for one in connections if isinstance(one, server.BoundedProtocol)]
        return any(one.flow.write_paused for one in ours)

    def connect(self, *, receives: int = 0) -> socket.socket:
        connection = self._stack.enter_context(socket.socket())
        if receives:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        connection.settimeout(PATIENCE)
        connection.connect(self._listeners[0].getsockname())
        return connection

    def __exit__(self, *_: object) -> None:
        self.app.go.set()
        self._stack.close()
        super().__exit__()


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setattr(server, "DEADLINE", SHORT)
    listening = Listening()
    with listening:
        listening.running.config.timeout_keep_alive = SHORT
        yield listening


def rest(connection: socket.socket) -> bytes:
    """Return what comes until the other side ends the connection; raises TimeoutError if never."""
    received = b""
    with suppress(ConnectionError):
        while more := connection.recv(65536):
            received += more
    return received


def answer(connection: socket.socket) -> bytes:
    """Read one answer of the app's, which end in "ok"."""
    received = b""
    while not received.endswith(b"ok"):
        more = connection.recv(65536)
        assert more, f"ended after {received!r}"
        received += more
    return received


def drip(connection: socket.socket, byte: bytes) -> None:
    """Send a byte now and then until the other side has ended the connection."""
    connection.settimeout(SHORT / 20)
    for _ in range(PATIENCE * 20 // SHORT):
        try:
            connection.sendall(byte)
            if not connection.recv(65536):
                return
        except TimeoutError:
            continue
        except ConnectionError:
            return
    raise AssertionError("it never ended")


UNFINISHED = {
    "nothing": b"",
    "a part of a head": GET[:-4],
    "a blank line": b"\r\n",
    "no body": POST,
    "a part of a body": POST + b"x",
    "a part of a chunk": CHUNKED + b"10\r\nx",
    "no trailer": CHUNKED + b"0\r\n",
}


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_what_stays_unfinished_is_closed_without_an_answer(
    listening: Listening, sent: bytes
) -> None:
    connection = listening.connect()
    connection.sendall(sent)
    assert rest(connection) == b""
    until(lambda: not listening.connections, "the place is free")


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_the_same_after_an_answer(listening: Listening, sent: bytes) -> None:
    connection = listening.connect()
    connection.sendall(GET)
    answer(connection)
    connection.sendall(sent)
    assert rest(connection) == b""


@pytest.mark.parametrize(
    ("start", "more"),
    [(GET[:-2] + b"X-A: ", b"a"), (b"", b"\r\n"), (POST, b"x")],
    ids=["a head", "blank lines", "a body"],
)
def test_a_byte_now_and_then_prolongs_nothing(
    listening: Listening, start: bytes, more: bytes
) -> None:
    connection = listening.connect()
    connection.sendall(start)
    drip(connection, more)


def test_the_app_learns_that_a_body_never_came(listening: Listening) -> None:
    rest_of_body = listening.connect()
    rest_of_body.sendall(POST)
    until(lambda: listening.app.unread == 1, "the app was told")


def test_a_body_that_nobody_reads_has_no_longer(listening: Listening) -> None:
    """An answer that came early, a refusal say, must not leave the rest of the body unwatched."""
    connection = listening.connect()
    connection.sendall(POST.replace(b"/", b"/early", 1))
    answer(connection)
    drip(connection, b"x")


def test_a_body_has_a_time_of_its_own(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DEADLINE", 3 * SHORT)
    connection, silent = listening.connect(), listening.connect()
    until(lambda: listening.connections == 2, "both are there")
    monkeypatch.setattr(server, "DEADLINE", PATIENCE)
    connection.sendall(POST)
    assert rest(silent) == b""  # and so would the other end, if the head's time still ran
    connection.sendall(BODY)
    assert answer(connection)


def test_who_waits_for_an_answer_is_left_alone(listening: Listening) -> None:
    waiting, silent = listening.connect(), listening.connect()
    waiting.sendall(HOLD)
    until(lambda: listening.app.held == 1, "held")
    assert rest(silent) == b""
    assert rest(listening.connect()) == b""  # and one more, all of whose time it waited
    listening.app.go.set()
    assert answer(waiting).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("at_once", "later"),
    [
        (GET, b""),
        (b"", GET),
        (GET[:-2], b""),
        (b"", POST + BODY),
        (GET, b"\0" * 100_000),
    ],
)
def test_what_comes_behind_one_that_waits_is_not_taken(
    listening: Listening, at_once: bytes, later: bytes
) -> None:
    """The one that waits has all the time that it needs, and its answer says that it is over."""
    waiting = listening.connect()
    waiting.sendall(HOLD + at_once)
    until(lambda: listening.app.held == 1, "held")
    waiting.sendall(later)
    assert rest(listening.connect()) == b""
    listening.app.go.set()
    answers = rest(waiting)
    assert answers.count(b"HTTP/1.1 200 ") == listening.app.answered == 1
    assert b"connection: close\r\n" in answers


def test_a_blank_line_behind_one_that_waits_is_no_request(listening: Listening) -> None:
    waiting = listening.connect()
    waiting.sendall(HOLD + b"\r\n")
    until(lambda: listening.app.held == 1, "held")
    listening.app.go.set()
    answer(waiting)
    waiting.sendall(GET)
    assert answer(waiting)


UNREAD = {
    "the last one": CLOSE,
    "one, and says no more": PAGE,
}


@pytest.mark.parametrize("sent", UNREAD.values(), ids=UNREAD)
def test_who_reads_no_answer_is_let_go(listening: Listening, sent: bytes) -> None:
    """The kernel keeps a part of it only; the rest is for the relay to keep, and the place."""
    connection = listening.connect(receives=SMALL)
    connection.sendall(sent)
    until(lambda: listening.app.answered, "an answer")
    until(lambda: not listening.connections, "the place is free")
    assert len(rest(connection)) < LARGE


def test_who_reads_late_and_then_waits_is_left_alone(listening: Listening) -> None:
    waiting = listening.connect(receives=SMALL)
    for answered in (1, 2):
        waiting.sendall(PAGE)
        until(lambda: listening.app.answered == answered, "an answer")  # noqa: B023  # at once
    until(listening.paused, "full buffers")
    waiting.sendall(HOLD)
    pages = b""
    while len(pages) < 2 * LARGE:
        pages += waiting.recv(65536)
    until(lambda: listening.app.held == 1, "held")
    assert rest(listening.connect()) == b""
    listening.app.go.set()
    assert answer(waiting)


# Behind a proxy


def test_slow_bodies_behind_caddy_end_too(listening: Listening, tmp_path: Path) -> None:
    caddy = shutil.which("caddy")
    if not caddy:
        pytest.skip("not installed: caddy")
    port = free_port()
    front = f"http://127.0.0.1:{port}"
    (tmp_path / "Caddyfile").write_text(
        f"{{\nadmin off\nauto_https off\n}}\n{front} {{\nreverse_proxy {listening.host}\n}}\n"
    )
    command = [caddy, "run", "--config", "Caddyfile"]
    with running(command, home=tmp_path, log=tmp_path / "log", ready=front):
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for connection in slow:
            connection.sendall(POST + b"x")
        until(lambda: listening.app.unread == len(slow), "all of them have ended")
        for connection in slow:
            connection.close()
        assert httpx.get(front).status_code == 200
