"""What only a real server on a socket shows: HEAD, limits of the head, clients that leave."""

import http.client
import secrets
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey

from tests.support.served import Served, until
from tests.support.wire import bearer, challenge_of

ENOUGH = 20_000_000  # bytes that nobody's request head has


def open_login(served: Served) -> tuple[dict[str, Any], str]:
    verifier = secrets.token_urlsafe(32)
    body = {
        "collect_challenge": challenge_of(verifier),
        "encryption_key": ECKey.generate_key("P-256").as_dict(private=False),
        "name": "a socket test",
    }
    answer = httpx.post(f"{served.url}/v1/logins", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json(), verifier


def connect(served: Served) -> socket.socket:
    parts = urlsplit(served.url)
    assert parts.hostname
    assert parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def send(served: Served, *parts: bytes) -> bytes:
    """Send bytes and return whatever comes until the server closes, or refuses to read on."""
    with connect(served) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            while more := connection.recv(65536):
                received += more
        except ConnectionError:
            pass
        return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_head_is_405_without_a_body(served: Served) -> None:
    answer = send(served, b"HEAD /auth/callback HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (status(head), body) == (405, b"")


def test_the_server_does_not_say_what_it_is(served: Served) -> None:
    assert "server" not in httpx.get(f"{served.url}/healthz").headers


ENDLESS = {
    "a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ",
    "an address": b"GET /healthz?",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "a trailer": b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ",
}


def cut_off(served: Served, start: bytes, more: bytes) -> bool:
    """Send more and more; whether the server closed before it had taken it all."""
    with connect(served) as connection:
        connection.sendall(start)
        try:
            for _ in range(ENOUGH // len(more)):
                connection.sendall(more)
        except ConnectionError:
            return True
    return False


@pytest.mark.parametrize("size", [33_000, 60_000])
def test_a_head_that_is_too_large_is_400_in_one_piece_too(served: Served, size: int) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: %s\r\n\r\n" % (b"x" * size)
    assert status(send(served, head)) == 400


def test_a_large_body_in_one_piece_with_its_head_is_no_large_head(served: Served) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://x\r\n"
    head = b"POST /auth/confirm HTTP/1.1\r\nHost: x\r\n%sContent-Length: 40000\r\n\r\n" % form
    assert status(send(served, head + b"x" * 40_000)) in {403, 413}


def test_asking_for_websockets_logs_nothing(served: Served) -> None:
    before = served.stderr
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert status(send(served, asked)) == 200
    assert "WebSocket" not in served.stderr.removeprefix(before)


@pytest.mark.parametrize("start", ENDLESS.values(), ids=ENDLESS)
def test_a_head_without_end_is_cut_off(served: Served, start: bytes) -> None:
    more = b"X-A: b\r\n" * 1024 if start.endswith(b"\r\n") else b"a" * 8192
    assert cut_off(served, start, more)
    assert httpx.get(f"{served.url}/healthz").status_code == 200


def test_a_body_over_8_kib_is_413_before_it_has_all_come(served: Served) -> None:
    head = (
        b"POST /v1/logins HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000000\r\nConnection: close\r\n\r\n"
    )
    assert status(send(served, head, b"x" * 9000)) == 413


def test_a_chunked_body_is_limited_too(served: Served) -> None:
    head = (
        b"POST /v1/logins HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    assert status(send(served, head, *[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 9)) == 413


def waiters(served: Served) -> int:
    """How many of the two places (a quarter of 8) of this address are taken, by trying."""
    login, verifier = open_login(served)
    answer = httpx.get(
        f"{served.url}/v1/logins/{login['login_id']}/response?wait=1",
        headers=bearer(verifier),
        timeout=30,
    )
    return 2 if answer.headers["retry-after"] == "5" else 0


def begin_to_wait(served: Served) -> http.client.HTTPConnection:
    login, verifier = open_login(served)
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
    path = f"/v1/logins/{login['login_id']}/response?wait=20"
    connection.request("GET", path, headers=bearer(verifier))
    return connection


def test_who_leaves_gives_the_place_back(served: Served) -> None:
    connections = [begin_to_wait(served) for _ in range(2)]
    until(lambda: waiters(served) == 2, "both places taken")
    for connection in connections:
        connection.close()
    until(lambda: waiters(served) == 0, "a place free again")


def test_leaving_in_the_middle_of_a_body_is_no_fault_of_the_relay(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(
            b"POST /v1/logins HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
    assert httpx.get(f"{served.url}/healthz").status_code == 200
    open_login(served)
    assert [event for event in served.events if event["level"] == "error"] == []
