"""The client reads no more of an answer, and for no longer, than an answer of a relay takes."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from opencode_relay.client import AsyncClient, Client, ClientError, NotARelay, Unreachable
from opencode_relay.keys.ring import Ring
from opencode_relay.response import SealError

from .stub import DISCOVERY, ISSUER, OPENED, Answer, StubRelay, problem, sealed_for

LARGE = 1_000_000
GOOD = json.dumps(DISCOVERY).encode()


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces, and knows how many were taken."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.taken += 1
            yield piece


def test_an_answer_of_the_largest_size_is_read() -> None:
    answer = httpx.Response(200, stream=Pieces(GOOD, b" " * (LARGE - len(GOOD))))
    assert StubRelay({"opencode-relay": [answer]}).client().discover() == DISCOVERY


def test_a_larger_answer_is_not_read_to_its_end() -> None:
    body = Pieces(GOOD, *[b" " * LARGE] * 50)
    client = StubRelay({"opencode-relay": [httpx.Response(200, stream=body)]}).client()
    with pytest.raises(Unreachable):
        client.discover()
    assert body.taken == 2


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-unknown"])
def test_nothing_is_unpacked(coding: str) -> None:
    body = Pieces(gzip.compress(GOOD) if coding == "gzip" else GOOD)
    packed = httpx.Response(200, stream=body, headers={"content-encoding": coding})
    stub = StubRelay({"opencode-relay": [packed]})
    with pytest.raises(Unreachable):
        stub.client().discover()
    assert stub.asked[0].headers["accept-encoding"] == "identity"
    assert body.taken == 0


def test_while_waiting_it_is_like_an_answer_lost(slept: list[float]) -> None:
    answers: list[Answer] = [
        httpx.Response(410, stream=Pieces(b"{", b" " * LARGE)),
        httpx.Response(410, stream=Pieces(b"{}"), headers={"content-encoding": "gzip"}),
        problem(410, "login-expired"),
    ]
    client = StubRelay({"response": answers}).client()
    login = client.open()
    with pytest.raises(ClientError, match="login-expired"):
        client.wait(login)
    assert len(slept) == 2


@contextmanager
def dribbling(*, head_too: bool) -> Iterator[str]:
    """Serve a good answer, 60 bytes of its head or body one by one, in three seconds."""
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        body = GOOD.replace(ISSUER.encode(), url.encode())
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nx: {'x' * 60}\r\n\r\n".encode()
        start = 0 if head_too else len(head)
        answer = head + body

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer[:start])
                for byte in answer[start : start + 60]:
                    connection.sendall(bytes([byte]))
                    if gone.wait(0.05):
                        return
                connection.sendall(answer[start + 60 :])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield url
        finally:
            gone.set()
            thread.join()


@pytest.fixture
def in_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencode_relay.client.steps._ANSWER", 0.5)


@pytest.mark.parametrize("head_too", [True, False])
@pytest.mark.usefixtures("in_half_a_second")
def test_a_server_that_dribbles_holds_nobody(*, head_too: bool) -> None:
    with dribbling(head_too=head_too) as url, Client(url) as client, pytest.raises(Unreachable):
        client.discover()


@pytest.mark.parametrize("head_too", [True, False])
@pytest.mark.usefixtures("in_half_a_second")
async def test_nor_from_asyncio(*, head_too: bool) -> None:
    with dribbling(head_too=head_too) as url:
        async with AsyncClient(url) as client:
            with pytest.raises(Unreachable):
                await client.discover()


def test_what_dribbles_on_after_it_was_given_up_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that reads a body ends by itself: nobody waits for it any more."""
    now = [0.0]
    body = Pieces(*[b" "] * 5)
    answer = httpx.Response(200, stream=body)

    def monotonic() -> float:
        now[0] += 6
        return now[0]

    monkeypatch.setattr("opencode_relay.client.reading.time", SimpleNamespace(monotonic=monotonic))
    with pytest.raises(Unreachable):
        StubRelay({"opencode-relay": [answer]}).client().discover()
    assert body.taken == 2


@pytest.mark.parametrize("name", ["expires_in", "max_wait"])
@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "-1", "NaN", "1e9", "1.5", "true", "[]"])
def test_numbers_that_no_clock_takes(name: str, number: str) -> None:
    opened = json.dumps(OPENED | {name: "?"}).replace('"?"', number)
    client = StubRelay({"logins": [httpx.Response(201, content=opened)]}).client()
    with pytest.raises(NotARelay):
        client.open()


DEEP = b'{"protocol":' + b"[" * 100_000


@pytest.mark.parametrize("path", ["opencode-relay", "logins"])
@pytest.mark.parametrize("status", [200, 201, 400])
def test_json_that_is_nested_deeply(path: str, status: int) -> None:
    with pytest.raises(NotARelay):
        StubRelay({path: [httpx.Response(status, content=DEEP)]}).client().open()


@pytest.mark.parametrize(
    "changed",
    [
        {"logins_endpoint": f"{ISSUER}/v1/\x00logins"},
        {"logins_endpoint": f"{ISSUER}/{'x' * 70_000}"},
        {"logins_endpoint": "https://[relay"},
        {"logins_endpoint": f"{ISSUER}"},
        {"protocol": [[]]},
    ],
)
def test_addresses_that_are_none(changed: dict[str, Any]) -> None:
    document = httpx.Response(200, json=DISCOVERY | changed)
    with pytest.raises(NotARelay):
        StubRelay({"opencode-relay": [document]}).client().open()


def test_a_host_that_is_no_host() -> None:
    with Client("https://xn--0.example.com") as client, pytest.raises(NotARelay):
        client.discover()


@pytest.mark.parametrize(
    "login_id", ["../../x", "a-login-of-22-letters\x00", "a" * 21, "a" * 65, 1]
)
def test_a_login_id_that_is_none(login_id: object) -> None:
    answer = httpx.Response(201, json=OPENED | {"login_id": login_id})
    with pytest.raises(NotARelay, match="login_id"):
        StubRelay({"logins": [answer]}).client().open()


@pytest.mark.parametrize("key", ["ocr_…", "ocr_x\n", "ocr x"])
def test_a_key_that_no_header_can_hold(key: str) -> None:
    with pytest.raises(ClientError, match="copy it again") as refused:
        Client(ISSUER, key=key)
    assert key not in str(refused.value)


@pytest.mark.parametrize("odd", [1, {}, {"kid": 1}, {"kid": []}, {"kid": "known", "x": 5}])
def test_a_key_set_of_other_things(odd: object) -> None:
    ring = Ring.fresh(0)
    if isinstance(odd, dict) and odd.get("kid") == "known":
        odd = ring.jwks()["keys"][0] | {"x": 5}
    stub = StubRelay({"jwks.json": [httpx.Response(200, json={"keys": [odd]})]})
    client = stub.client()
    login = client.open()
    with pytest.raises(SealError):
        client.unseal(login, sealed_for(login, ring))
