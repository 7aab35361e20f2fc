"""A relay in process, and everybody who meets it: instances, browsers, the identity provider."""

from __future__ import annotations

import asyncio
import html
import re
import secrets
import socket
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from joserfc.jwk import ECKey
from opencode_relay.instances import Instance
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.login import Login
from opencode_relay.machine.server import BoundedProtocol
from opencode_relay.relay import Relay
from opencode_relay.response import unseal
from opencode_relay.settings import Settings
from opencode_relay.stores import Store
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app
from starlette.types import ASGIApp

ISSUER = "https://relay.example"
IDP = "https://idp.example"
RETURN_URL = "https://workshop.example/auth/return"
HERE, THERE = "203.0.113.7", "198.51.100.20"
CODE = "SplxlOBeZQQYbYS6WxSbIA-code"
WRONG = "0000-0000"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Clock:
    """Unix time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Opened:
    """What an instance holds of a login that it opened."""

    id: str
    state: str
    confirmation: str
    pairing_code: str = field(repr=False)
    verifier: str = field(repr=False)
    key: ECKey = field(repr=False)


def new_verifier() -> str:
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def form_of(page: httpx.Response) -> dict[str, str]:
    """Read the hidden fields of the confirm page."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


def code_on(page: httpx.Response) -> str:
    """Read the completion code off its page."""
    found = re.search(r"<code[^>]*>([0-9A-Z-]{9})</code>", page.text)
    assert found, "the page shows no completion code"
    return found[1]


def onward_to(page: httpx.Response) -> str:
    """Read where a page goes on to by itself."""
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', page.text)
    assert found, "the page does not go on"
    return html.unescape(found[1])


class World:
    """One relay over a real store, with a clock that the test sets."""

    def __init__(
        self,
        data: Path,
        *,
        around: Callable[[Store], Store] = lambda store: store,
        ring: Ring | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.ring = ring or Ring.fresh(self.clock())
        self.settings = Settings(**{"public_url": ISSUER, "data": data, **settings})
        self.embedded = SQLiteStore(data)
        self.store = around(self.embedded)
        self.keys = Keys(lambda: self.ring, self.clock)
        self.relay = Relay(self.settings, self.store, self.keys, clock=self.clock)
        self.app = make_app(self.relay)
        self._browsers: dict[str, httpx.AsyncClient] = {}
        self.instance_key = ""

    async def start(self) -> None:
        self.instance_key = await self.enrol("workshop", [RETURN_URL])

    async def close(self) -> None:
        for browser in self._browsers.values():
            await browser.aclose()
        self.embedded.close()

    def at(self, address: str) -> httpx.AsyncClient:
        """Somebody at an address, with no cookies but what the relay gave them."""
        if address not in self._browsers:
            transport = httpx.ASGITransport(
                self.app, raise_app_exceptions=False, client=(address, 50000)
            )
            url = self.relay.issuer
            self._browsers[address] = httpx.AsyncClient(transport=transport, base_url=url)
        return self._browsers[address]

    async def enrol(self, name: str, return_urls: list[str] | None = None) -> str:
        instance, key = Instance.enrol(name, return_urls or [], self.clock())
        assert await self.store.add_instance(instance)
        return key.reveal()

    async def ask_to_open(
        self, *, key: str | None = None, address: str = HERE, verifier: str = "", **members: Any
    ) -> httpx.Response:
        """POST /v1/logins; `key=""` sends no key at all."""
        body = {
            "collect_challenge": challenge_of(verifier or new_verifier()),
            "encryption_key": ECKey.generate_key("P-256").as_dict(private=False),
            **members,
        }
        key = self.instance_key if key is None else key
        headers = bearer(key) if key else {}
        return await self.at(address).post("/v1/logins", json=body, headers=headers)

    async def open(self, **how: Any) -> Opened:
        verifier, private = new_verifier(), ECKey.generate_key("P-256")
        how.setdefault("encryption_key", private.as_dict(private=False))
        answer = await self.ask_to_open(verifier=verifier, **how)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        return Opened(
            found["login_id"],
            found["state"],
            found["confirmation"],
            found.get("pairing_code", ""),
            verifier,
            private,
        )

    async def callback(
        self, login: Opened | str, *, address: str = THERE, **params: str
    ) -> httpx.Response:
        """The browser comes back from the IdP, with a code where nothing else is named."""
        state = login if isinstance(login, str) else login.state
        params = params if "error" in params else {"code": CODE, **params}
        query = {"state": state, **params}
        return await self.at(address).get("/auth/callback", params=query)

    async def press(
        self,
        page: httpx.Response | dict[str, str],
        decision: str = "allow",
        code: str = "",
        *,
        address: str = THERE,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Press a button of the confirm page."""
        fields = page if isinstance(page, dict) else form_of(page)
        fields = {**fields, "decision": decision, "pairing_code": code}
        headers = SAME_ORIGIN if headers is None else headers
        return await self.at(address).post("/auth/confirm", data=fields, headers=headers)

    async def collect(self, login: Opened, *, wait: int = 0, verifier: str = "") -> httpx.Response:
        url, headers = f"/v1/logins/{login.id}/response", bearer(verifier or login.verifier)
        return await self.at(HERE).get(url, params={"wait": wait}, headers=headers)

    async def complete(self, login: Opened, code: str, *, verifier: str = "") -> httpx.Response:
        url, headers = f"/v1/logins/{login.id}/completion", bearer(verifier or login.verifier)
        return await self.at(HERE).post(url, json={"completion_code": code}, headers=headers)

    async def finish(self, login: Opened, *, verifier: str = "") -> httpx.Response:
        headers = bearer(verifier or login.verifier)
        return await self.at(HERE).delete(f"/v1/logins/{login.id}", headers=headers)

    async def row(self, login: Opened) -> Login:
        """The login as the store keeps it."""
        found = await self.embedded.get(login.id)
        assert found
        return found

    async def released(self) -> tuple[Opened, str]:
        """Carry a login to its release; return it and its sealed response."""
        login = await self.open()
        page = await self.callback(login)
        assert (await self.press(page, code=login.pairing_code)).status_code == 303
        return login, (await self.collect(login)).json()["response"]

    def unsealed(self, login: Opened, sealed: str, idp_issuer: str | None = None) -> dict[str, str]:
        """Open a sealed response as its instance does."""
        return unseal(
            sealed,
            private_key=login.key,
            find=self.published,
            issuer=self.relay.issuer,
            login_id=login.id,
            now=self.clock(),
            idp_issuer=idp_issuer,
        )

    def published(self, kid: str) -> dict[str, Any] | None:
        key = self.ring.find(Purpose.RESPONSE, kid)
        return key.public_jwk() if key else None


async def until(happened: Callable[[], bool]) -> None:
    """Let the event loop run until something has happened; it must within a minute."""
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110  # what is looked at knows nothing of asyncio
            await asyncio.sleep(0.001)


@asynccontextmanager
async def listening(app: ASGIApp, listener: socket.socket) -> AsyncIterator[str]:
    """Serve an app with a real uvicorn on a bound socket, in this event loop."""
    config = uvicorn.Config(
        app, http=BoundedProtocol, log_config=None, access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running


def loopback() -> tuple[socket.socket, str]:
    """Bind a free port; return the socket and its origin."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"
