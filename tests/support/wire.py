"""A relay met over HTTP, in process: the instance's side, the person's side, and the clock."""

import hashlib
import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey
from opencode_relay.instances import Instance
from opencode_relay.keys.file import KeyFile
from opencode_relay.keys.held import Keys
from opencode_relay.login import Login
from opencode_relay.relay import Relay
from opencode_relay.response import unseal
from opencode_relay.secret import Secret
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app

from tests.support.clock import Clock

ISSUER = "https://relay.example"
RETURN_URL = "https://instance.example/auth/callback"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": ISSUER}
WRONG_CODE = "0000-0000"


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def check_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Assert that an answer is this RFC 9457 problem, and return it."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"{ISSUER}/problems/{slug}", problem
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def check_page(answer: httpx.Response, status: int, title: str) -> None:
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text
    found = re.search("<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)
    assert (answer.status_code, found and found[1].strip()) == (status, title)


class _Form(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.fields[str(given["name"])] = str(given["value"])


def form_of(page: httpx.Response) -> dict[str, str]:
    """Read what the page's form sends without anybody typing."""
    return _Form(page.text).fields


def completion_code_of(page: httpx.Response) -> str:
    found = re.search(r'<code translate="no">([^<]+)</code>', page.text)
    assert found, page.text
    return found[1]


@dataclass
class Opened:
    """A login as its instance knows it."""

    answer: dict[str, Any]
    verifier: str
    key: ECKey = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.answer["login_id"])

    @property
    def state(self) -> str:
        return str(self.answer["state"])

    @property
    def pairing_code(self) -> str:
        return str(self.answer["pairing_code"])

    @property
    def path(self) -> str:
        return f"/v1/logins/{self.id}"


class Wire:
    """One relay. Every setting but the data directory can be given."""

    def __init__(self, data: Path, clock: Clock, **settings: Any) -> None:
        self.clock = clock
        self.store = SQLiteStore(data)
        self.keyfile = KeyFile(data, clock)
        self.keys = Keys(self.keyfile.load, clock)
        config = Settings(**{"public_url": ISSUER, "data": data, **settings})
        self.relay = Relay(config, self.store, self.keys, clock=clock)
        self.app = make_app(self.relay)
        self.http = self.at("203.0.113.7")
        self.key: Secret | None = None
        self.instance: Instance | None = None

    def at(self, address: str) -> httpx.AsyncClient:
        """Return an HTTP client at another address."""
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=False, client=(address, 40000)
        )
        return httpx.AsyncClient(transport=transport, base_url=self.relay.issuer)

    async def enrol(self, name: str = "workshop", *return_urls: str) -> str:
        """Enrol an instance, open the next logins as it, and return its key."""
        self.instance, self.key = Instance.enrol(name, list(return_urls), self.clock())
        assert await self.store.add_instance(self.instance)
        return self.key.reveal()

    # The instance

    def body(self, **members: Any) -> dict[str, Any]:
        """Return a good body for opening a login; what is given as None is left out."""
        good = {
            "collect_challenge": challenge_of(secrets.token_urlsafe(32)),
            "encryption_key": ECKey.generate_key("P-256").as_dict(private=False),
        }
        return {name: value for name, value in (good | members).items() if value is not None}

    async def post(self, body: object, **headers: str) -> httpx.Response:
        """Open a login with any body: bytes as they are, everything else as JSON."""
        known = bearer(self.key.reveal()) if self.key else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(
            "/v1/logins",
            content=content,
            headers={"Content-Type": "application/json", **known, **headers},
        )

    async def open(self, **members: Any) -> Opened:
        verifier, key = secrets.token_urlsafe(32), ECKey.generate_key("P-256")
        own = {
            "collect_challenge": challenge_of(verifier),
            "encryption_key": key.as_dict(private=False),
        }
        answer = await self.post(own | members)
        assert answer.status_code == 201, answer.text
        return Opened(answer.json(), verifier, key)

    async def collect(self, login: Opened, wait: object = 0, **headers: str) -> httpx.Response:
        sent = bearer(login.verifier) | headers
        return await self.http.get(f"{login.path}/response?wait={wait}", headers=sent)

    async def complete(self, login: Opened, code: str, **headers: str) -> httpx.Response:
        sent = bearer(login.verifier) | headers
        path = f"{login.path}/completion"
        return await self.http.post(path, json={"completion_code": code}, headers=sent)

    async def finish(self, login: Opened, **headers: str) -> httpx.Response:
        return await self.http.delete(login.path, headers=bearer(login.verifier) | headers)

    async def collected(self, login: Opened) -> dict[str, str]:
        """Collect a released login and open its response."""
        answer = await self.collect(login)
        assert answer.status_code == 200, answer.text
        return self.unseal(login, answer.json()["response"])

    def unseal(self, login: Opened, sealed: str) -> dict[str, str]:
        jwks = {key["kid"]: key for key in self.keys.ring.jwks()["keys"]}
        return unseal(
            sealed,
            private_key=login.key,
            find=jwks.get,
            issuer=self.relay.issuer,
            login_id=login.id,
            now=self.clock(),
        )

    # The person

    async def callback(self, login: Opened, **params: str) -> httpx.Response:
        """Come back from the IdP; with a code unless other parameters are given."""
        query = {"state": login.state, **(params or {"code": "c0de"})}
        return await self.http.get("/auth/callback", params=query)

    async def press(
        self, page: httpx.Response, decision: str, code: str = "", **headers: str
    ) -> httpx.Response:
        form = form_of(page) | {"decision": decision, "pairing_code": code}
        sent = headers or SAME_ORIGIN
        return await self.http.post("/auth/confirm", data=form, headers=sent)

    async def released(self, **members: Any) -> Opened:
        """Carry a new login up to its release."""
        login = await self.open(**members)
        page = await self.callback(login)
        if login.answer["confirmation"] == "completion_code":
            done = await self.complete(login, completion_code_of(page))
            assert done.status_code == 204, done.text
        else:
            done = await self.press(page, "allow", login.pairing_code)
            assert done.status_code == 303, done.text
        return login

    # What the relay keeps

    async def kept(self, login: Opened) -> Login:
        found = await self.store.get(login.id)
        assert found
        return found


MakeWire = Callable[..., Wire]
