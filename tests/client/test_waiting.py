"""Waiting: the pace that is asked for, and only the relay's own word ends it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from opencode_relay.client import (
    AsyncClient,
    Client,
    LoginOver,
    OpenLogin,
    RelayRefused,
    Unreachable,
)
from opencode_relay.keys.ring import Ring

from .stub import ISSUER, OPENED, Answer, StubRelay, problem, sealed_for

PENDING = {"status": "pending"}


class Clock:
    """Monotonic time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("opencode_relay.client.mouths.time.sleep", made.sleep)
    monkeypatch.setattr("opencode_relay.client.talk.time.monotonic", lambda: made.now)
    return made


def released(stub: StubRelay, login: OpenLogin, *before: Answer) -> None:
    """Let the relay answer so, and then with the response."""
    ring = Ring.fresh(0)
    body = {"status": "released", "response": sealed_for(login, ring)}
    stub.answers["response"] = [*before, httpx.Response(200, json=body)]
    stub.answers["jwks.json"] = [httpx.Response(200, json=ring.jwks())]


def pending(retry_after: int | None = None) -> httpx.Response:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return httpx.Response(202, json=PENDING, headers=headers)


def test_it_backs_off_and_keeps_the_pace_it_is_asked_for(slept: list[float]) -> None:
    answers: list[Answer] = [
        httpx.Response(503),
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.ReadTimeout("cut"),
        pending(3),
        pending(),
        pending(30),
        problem(410, "login-declined"),
    ]
    client = StubRelay({"response": answers}).client()
    login = client.open()
    with pytest.raises(LoginOver) as over:
        client.wait(login)
    assert over.value.code == "login-declined"
    first, second, third, *paced = slept
    assert 0.5 <= first <= 1
    assert second == 7
    assert 2 <= third <= 4
    assert paced == [3, 1, 30]


@pytest.mark.parametrize(
    "stray",
    [
        httpx.Response(404, text="<html>no such container"),
        httpx.Response(403, text="<html>firewall"),
        httpx.Response(302, headers={"location": "https://login.example.com"}),
        httpx.Response(401, headers={"www-authenticate": "Basic"}),
        httpx.Response(401, json={}),
        httpx.Response(200, text="<html>maintenance"),
        httpx.Response(200, json={"response": 1}),
        httpx.Response(200, json={"status": "pending"}),
        httpx.Response(202, text="<html>", headers={"retry-after": "0"}),
        httpx.Response(204),
        problem(404, "login-not-found", "https://another.example"),
        problem(404, "login-not-found", f"{ISSUER}.example"),
        httpx.Response(410, json={"type": "about:blank"}),
        httpx.Response(410, json={"type": ["https://relay.example.com/problems/"]}),
        httpx.Response(403, content=b"[" * 100_000),
        httpx.ReadError("cut"),
        problem(429, "rate-limited"),
        problem(503, "unavailable"),
    ],
)
def test_what_is_not_the_relays_end_does_not_end_it(slept: list[float], stray: Answer) -> None:
    stub = StubRelay()
    client = stub.client()
    login = client.open()
    released(stub, login, stray)
    assert client.wait(login) == {"code": "x"}
    assert len(slept) == 1
    assert 0.5 <= slept[0] <= 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "verifier-required"), RelayRefused),
        (problem(404, "login-not-found"), LoginOver),
        (problem(409, "delivery-is-redirect"), RelayRefused),
        (problem(410, "login-cancelled"), LoginOver),
    ],
)
def test_the_relays_own_word_ends_it(
    slept: list[float], answer: Answer, kind: type[RelayRefused]
) -> None:
    client = StubRelay({"response": [answer]}).client()
    login = client.open()
    with pytest.raises(kind):
        client.wait(login)
    assert slept == []


def test_an_answer_that_was_not_held_is_no_loop(clock: Clock) -> None:
    answers: list[Answer] = [pending(0), pending(0), problem(410, "login-declined")]
    client = StubRelay({"response": answers}).client()
    login = client.open()
    with pytest.raises(LoginOver):
        client.wait(login)
    assert clock.naps[-2:] == [1.0, 1.0]


def test_a_stranger_cannot_silence_it(clock: Clock) -> None:
    stub = StubRelay()
    client = stub.client()
    login = client.open()
    released(stub, login, httpx.Response(503, headers={"retry-after": "86400"}))
    assert client.wait(login) == {"code": "x"}
    assert clock.naps == [60]


@pytest.mark.parametrize("odd", ["²", "-1", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 400])
def test_a_pace_that_is_no_number(slept: list[float], odd: str) -> None:
    stub = StubRelay()
    client = stub.client()
    login = client.open()
    headers = [(b"retry-after", odd.encode("latin-1"))]
    released(stub, login, httpx.Response(202, json=PENDING, headers=headers))
    assert client.wait(login) == {"code": "x"}
    assert slept == [1]


@pytest.fixture
def unheld(clock: Clock) -> Iterator[tuple[Client, OpenLogin, Clock]]:
    stub = StubRelay({"logins": [httpx.Response(201, json=OPENED | {"max_wait": 0})]})
    with stub.client() as client:
        login = client.open()
        released(stub, login)
        yield client, login, clock


def test_where_nothing_is_held_the_first_question_waits(
    unheld: tuple[Client, OpenLogin, Clock],
) -> None:
    client, login, clock = unheld
    client.wait(login)
    assert clock.naps == [8]


def test_the_first_question_waits_no_longer_than_needed(
    unheld: tuple[Client, OpenLogin, Clock],
) -> None:
    """Counted from opening: who has typed a completion code meanwhile has waited enough."""
    client, login, clock = unheld
    clock.now += 6
    client.wait(login)
    assert clock.naps == [2]
    clock.now += 6
    client.wait(login)
    assert clock.naps == [2, 0]


def test_the_first_question_is_asked_in_the_time_there_is(
    unheld: tuple[Client, OpenLogin, Clock],
) -> None:
    client, login, clock = unheld
    client.wait(login, 5)
    assert clock.naps == [5]


async def test_the_async_client_sleeps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr("opencode_relay.client.mouths.asyncio.sleep", sleep)
    stub = StubRelay({"response": [httpx.ConnectError("no"), problem(404, "login-not-found")]})
    http = httpx.AsyncClient(transport=httpx.MockTransport(stub))
    async with AsyncClient(ISSUER, http=http) as client:
        login = await client.open()
        with pytest.raises(LoginOver):
            await client.wait(login)
    assert len(naps) == 1


def test_it_ends_with_the_login(clock: Clock) -> None:
    client = StubRelay({"response": [httpx.ConnectError("no")]}).client()
    login = client.open()
    with pytest.raises(Unreachable):
        client.wait(login)
    assert 1600 <= clock.now < 1660
