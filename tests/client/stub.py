"""A relay that answers as it is told, and what a real one would have sealed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from opencode_relay.client import Client, OpenLogin
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.response import seal
from opencode_relay.web.bodies import public_key

ISSUER = "https://relay.example.com"
DISCOVERY = {
    "protocol": 1,
    "issuer": ISSUER,
    "redirect_uri": f"{ISSUER}/auth/callback",
    "logins_endpoint": f"{ISSUER}/v1/logins",
    "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
}
OPENED: dict[str, Any] = {
    "login_id": "an-id-of-a-login-12345",
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


def problem(status: int, slug: str, issuer: str = ISSUER) -> httpx.Response:
    return httpx.Response(
        status,
        json={"type": f"{issuer}/problems/{slug}"},
        headers={"content-type": "application/problem+json"},
    )


def sealed_for(login: OpenLogin, ring: Ring) -> str:
    return seal(
        Keys(lambda: ring),
        issuer=ISSUER,
        login_id=login.login_id,
        encryption_key=public_key(login.private_key.as_dict(private=False)),
        params={"code": "x"},
        now=time.time(),
        exp=time.time() + 60,
    )
