"""A relay in process, and the person who answers it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opencode_relay.client import AsyncClient
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app

ISSUER = "http://127.0.0.1:8787"


class Person:
    """A browser that brings callbacks, and fills in the confirm page."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(relay)), base_url=ISSUER
        )

    async def callback(self, state: str, **params: str) -> str:
        answer = await self.http.get("/auth/callback", params={"state": state, **params})
        assert answer.status_code == 200, answer.text
        return answer.text

    async def confirm(self, page: str, decision: str, pairing_code: str = "") -> int:
        hidden = dict(re.findall(r'name="(response|token)" value="([^"]+)"', page))
        form = {**hidden, "decision": decision, "pairing_code": pairing_code}
        answer = await self.http.post("/auth/confirm", data=form, headers={"Origin": ISSUER})
        return answer.status_code


@pytest.fixture
def relay(tmp_path: Path) -> Relay:
    ring = Ring.fresh(0)
    settings = Settings(public_url=ISSUER, data=tmp_path, enrolment="open", max_wait=1)
    return Relay(settings, SQLiteStore(tmp_path), Keys(lambda: ring))


@pytest.fixture
def person(relay: Relay) -> Person:
    return Person(relay)


@pytest.fixture
async def client(relay: Relay) -> AsyncIterator[AsyncClient]:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(make_app(relay)))
    async with AsyncClient(ISSUER, http=http) as made:
        yield made


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []
    monkeypatch.setattr("opencode_relay.client.mouths.time.sleep", naps.append)
    return naps
