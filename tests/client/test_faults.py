"""The client against relays that answer wrongly or not at all."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from opencode_relay.client import NotARelay, Unreachable
from opencode_relay.keys.ring import Ring
from opencode_relay.response import UnknownKeyError

from .stub import DISCOVERY, OPENED, Answer, StubRelay, sealed_for


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"protocol": 2}, "protocol 2"),
        ({"protocol": None}, "protocol"),
        ({"issuer": "https://evil.example"}, "calls itself 'https://evil.example'"),
        ({"jwks_uri": "https://evil.example/jwks"}, "jwks_uri"),
        ({"logins_endpoint": "https://relay.example.com:8443/v1/logins"}, "logins_endpoint"),
        ({"redirect_uri": None}, "redirect_uri"),
        ({"client_metadata_uri": "https://evil.example/client"}, "client_metadata_uri"),
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
    monkeypatch.setattr("opencode_relay.client.talk.time.monotonic", lambda: now[0])

    def looked() -> int:
        return sum(request.url.path.endswith("jwks.json") for request in stub.asked)

    for _ in range(2):
        with pytest.raises(UnknownKeyError):
            client.unseal(login, sealed)
    assert looked() == 1
    now[0] += 60
    assert client.unseal(login, sealed) == {"code": "x"}
    assert looked() == 2
