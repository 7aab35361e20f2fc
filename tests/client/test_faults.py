"""The client against relays that answer wrongly, late or not at all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from opencode_relay.client import (
    AsyncClient,
    Client,
    NotARelay,
    OpenLogin,
    RelayRefused,
    Unreachable,
)
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.response import UnknownKeyError, seal
from opencode_relay.web.bodies import public_key

ISSUER = "https://relay.example.com"
DISCOVERY = {
    "protocol": 1,
    "issuer": ISSUER,
    "redirect_uri": f"{ISSUER}/auth/callback",
    "logins_endpoint": f"{ISSUER}/v1/logins",
    "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
}
OPENED = {
    "login_id": "abc",
    "state": "s",
    "redirect_uri": f"{ISSUER}/auth/callback",
    "confirmation": "pairing_code",
    "pairing_code": "ABCD-EFGH",
    "expires_in": 600,
    "max_wait": 20,
}


Answer = httpx.Response | Exception


class StubRelay:
    """Answers each path from a list; the last answer stays. An exception is raised instead."""

    def __init__(self, answers: Mapping[str, Sequence[Answer]] | None = None) -> None:
        given: dict[str, Sequence[Answer]] = {
            "opencode-relay": [httpx.Response(200, json=DISCOVERY)],
            "logins": [httpx.Response(201, json=OPENED)],
            **(answers or {}),
        }
        self.answers = {path: list(those) for path, those in given.items()}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        waiting = self.answers[request.url.path.rpartition("/")[2]]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        return Client(ISSUER, http=httpx.Client(transport=httpx.MockTransport(self)))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []
    monkeypatch.setattr("opencode_relay.client.time.sleep", naps.append)
    return naps


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"protocol": 2}, "protocol 2"),
        ({"protocol": None}, "protocol"),
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"jwks_uri": "https://evil.example/jwks"}, "jwks_uri"),
        ({"logins_endpoint": "https://relay.example.com:8443/v1/logins"}, "logins_endpoint"),
        ({"redirect_uri": None}, "redirect_uri"),
    ],
)
def test_discovery_is_believed_only_as_the_protocol_says(changed: dict[str, Any], why: str) -> None:
    document = httpx.Response(200, json=DISCOVERY | changed)
    with pytest.raises(NotARelay, match=why):
        StubRelay({"opencode-relay": [document]}).client().open()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"location": "https://evil.example"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(404, text="nginx"),
    ],
)
def test_what_is_no_relay(answer: httpx.Response) -> None:
    stub = StubRelay({"opencode-relay": [answer]})
    with pytest.raises(NotARelay):
        stub.client().open()
    assert len(stub.asked) == 1


@pytest.mark.parametrize("name", ["login_id", "state", "expires_in", "max_wait"])
def test_an_answer_without_a_member(name: str) -> None:
    answer = httpx.Response(201, json={k: v for k, v in OPENED.items() if k != name})
    with pytest.raises(NotARelay, match=name):
        StubRelay({"logins": [answer]}).client().open()


def test_unreachable() -> None:
    stub = StubRelay({"opencode-relay": [httpx.ConnectError("refused")]})
    with pytest.raises(Unreachable):
        stub.client().discover()


def test_waiting_backs_off_and_keeps_the_pace_it_is_asked_for(slept: list[float]) -> None:
    refusal = httpx.Response(
        410,
        json={"type": f"{ISSUER}/problems/login-declined"},
        headers={"content-type": "application/problem+json"},
    )
    stub = StubRelay(
        {
            "response": [
                httpx.Response(503),
                httpx.Response(429, headers={"retry-after": "7"}),
                httpx.ReadTimeout("cut"),
                httpx.Response(202, headers={"retry-after": "3"}),
                httpx.Response(202),
                refusal,
            ]
        }
    )
    client = stub.client()
    login = client.open()
    with pytest.raises(RelayRefused) as over:
        client.wait(login)
    assert over.value.code == "login-declined"
    first, second, third, *paced = slept
    assert 0.5 <= first <= 1
    assert second == 7
    assert 2 <= third <= 4
    assert paced == [3, 1]


async def test_the_async_client_sleeps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr("opencode_relay.client.asyncio.sleep", sleep)
    stub = StubRelay({"response": [httpx.ConnectError("no"), httpx.Response(401, json={})]})
    http = httpx.AsyncClient(transport=httpx.MockTransport(stub))
    async with AsyncClient(ISSUER, http=http) as client:
        login = await client.open()
        with pytest.raises(NotARelay):
            await client.wait(login)
    assert len(naps) == 1


def sealed_for(login: OpenLogin, ring: Ring) -> str:
    return seal(
        Keys(lambda: ring),
        issuer=ISSUER,
        login_id="abc",
        encryption_key=public_key(login.private_key.as_dict(private=False)),
        params={"code": "x"},
        now=time.time(),
        exp=time.time() + 60,
    )


@pytest.mark.parametrize(
    "lost", [httpx.ReadError("cut"), httpx.Response(503), httpx.Response(200, text="cut off")]
)
def test_keys_that_cannot_be_fetched_are_fetched_again(lost: Answer, slept: list[float]) -> None:
    ring = Ring.fresh(0)
    stub = StubRelay({"jwks.json": [lost, httpx.Response(200, json=ring.jwks())]})
    client = stub.client()
    login = client.open()
    released = httpx.Response(200, json={"status": "released", "response": sealed_for(login, ring)})
    stub.answers["response"] = [released]
    assert client.wait(login) == {"code": "x"}
    assert len(slept) == 1


def test_an_unknown_kid_makes_it_look_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, now = Ring.fresh(0), [1000.0]
    old = httpx.Response(200, json={"keys": []})
    new = httpx.Response(200, json=ring.jwks())
    stub = StubRelay({"jwks.json": [old, new]})
    client = stub.client()
    login = client.open()
    sealed = sealed_for(login, ring)
    monkeypatch.setattr("opencode_relay.client.time.monotonic", lambda: now[0])

    def looked() -> int:
        return sum(request.url.path.endswith("jwks.json") for request in stub.asked)

    for _ in range(2):
        with pytest.raises(UnknownKeyError):
            client.unseal(login, sealed)
    assert looked() == 1
    now[0] += 60
    assert client.unseal(login, sealed) == {"code": "x"}
    assert looked() == 2
