"""`opencode-relay demo`: a complete login on this machine, with nothing else installed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import httpx
import typer
from starlette.types import ASGIApp

from opencode_relay import outgoing
from opencode_relay.cli.catch import PATH, PORT, Catcher, listen
from opencode_relay.cli.home import AsJSON, Home
from opencode_relay.cli.loopback import Loopback
from opencode_relay.client import Client, OpenLogin
from opencode_relay.instances import Instance
from opencode_relay.keys.held import Keys
from opencode_relay.relay import Relay
from opencode_relay.secret import Secret
from opencode_relay.settings import Settings
from opencode_relay.web.app import make_app

from .idp import CLIENT_ID, IdP, challenge_of
from .person import Person
from .told import DemoFailed, Told

_PROVIDER = "The demo's identity provider"


def demo(
    browser: Annotated[
        bool, typer.Option("--browser", help="Play the person yourself, in your browser.")
    ] = False,
    locked: Annotated[
        bool,
        typer.Option(
            "--locked",
            help="With an identity provider that redirects to localhost only, as ChatGPT's does.",
        ),
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show a complete login: a relay, an identity provider and an instance on this machine."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    told, idp = Told(as_json), IdP()
    instance, key = Instance.enrol("The demo's instance", [], time.time())
    with tempfile.TemporaryDirectory(prefix="opencode-relay-demo-") as directory:
        data = Path(directory)

        def relay_app(url: str) -> ASGIApp:
            home = Home(data, make=True)
            asyncio.run(home.store.add_instance(instance))
            settings = Settings(public_url=url, data=data)
            keys = Keys(home.keys.load)
            keys.refresh()  # made now: a login may not be older than its keys
            return make_app(Relay(settings, home.store, keys))

        with (
            Loopback(relay_app) as relay_url,
            Loopback(idp.app) as idp_url,
            _catcher(relay_url, wanted=locked),
            Client(relay_url, key=key.reveal()) as relay,
        ):
            told.step("relay", "runs", url=relay_url, identity_provider=idp_url)
            idp.redirect_uri = f"{relay_url}/auth/callback"
            if locked:
                idp.redirect_uri = f"http://localhost:{PORT}{PATH}"
                told.step("catcher", "waits on the person's machine", url=idp.redirect_uri)
            account = _Instance(told, relay, idp, browser=browser).sign_in(locked=locked)
        _check(idp, data)
        told.step("check", "redeemed once, with PKCE; no file of the relay held the code")
        told.end(account)


@contextlib.contextmanager
def _catcher(relay_url: str, *, wanted: bool) -> Iterator[None]:
    """Listen on localhost:1455 as `opencode-relay catch` does. Raises ConfigError."""
    if not wanted:
        yield
        return
    with Loopback(lambda _: Catcher(relay_url, say=lambda _: None).app, listen()):
        yield


class _Instance:
    """Plays the instance that wants the code."""

    def __init__(self, told: Told, relay: Client, idp: IdP, *, browser: bool) -> None:
        self._told = told
        self._relay = relay
        self._idp = idp
        self._browser = browser

    def sign_in(self, *, locked: bool) -> str:
        """Return the account whose token it holds in the end."""
        issuer = self._idp.issuer
        # Where a page may be pasted, and pages can be sent by anybody, the stricter way.
        login = self._relay.open(provider=_PROVIDER, idp_issuer=issuer, completion_code=locked)
        code = {"pairing_code": login.pairing_code} if login.pairing_code else {}
        self._told.step(
            "instance",
            "opened a login: POST /v1/logins",
            login_id=login.login_id,
            state=login.state,
            redirect_uri=self._idp.redirect_uri,
            **code,
        )
        verifier = Secret(secrets.token_urlsafe(32))
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self._idp.redirect_uri,
            "state": login.state.reveal(),
            "code_challenge": challenge_of(verifier.reveal()),
            "code_challenge_method": "S256",
        }
        self._confirm(login, f"{issuer}/authorize?{urlencode(query)}")
        params = self._relay.wait(login)
        shown = {name: Secret(v) if name == "code" else v for name, v in params.items()}
        self._told.step("instance", "collected and opened the sealed response", **shown)
        if "error" in params:
            raise DemoFailed("The identity provider answered with an error.")
        account = self._redeem(params["code"], verifier)
        self._relay.finish(login)
        self._told.step("instance", "ended the login: DELETE /v1/logins/{login_id}")
        return account

    def _confirm(self, login: OpenLogin, link: str) -> None:
        pairing_code = login.pairing_code.reveal() if login.pairing_code else None
        typed: str | None = None
        if self._browser:
            then = f"type the code {pairing_code} on the relay's page"
            if pairing_code is None:
                then = "type the code of the relay's page here"
            self._told.ask(f"Open this link, sign in with any name, and {then}:\n\n{link}")
            if pairing_code is None:
                typed = typer.prompt("Completion code", err=True)
        else:
            with outgoing.blocking() as web:
                person = Person(self._told, web)
                page = person.sign_in(link)
                if pairing_code:
                    person.allow(page, pairing_code)
                else:
                    typed = person.completion_code(page)
        if typed is not None:
            self._relay.complete(login, typed)
            self._told.step("person", "typed the completion code into the instance")

    def _redeem(self, code: str, verifier: Secret) -> str:
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "code": code,
            "redirect_uri": self._idp.redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        with outgoing.blocking() as web:
            answer = web.post(f"{self._idp.issuer}/token", data=form)
        if answer.status_code != httpx.codes.OK:
            raise DemoFailed("The identity provider refused the authorization code.")
        tokens = answer.json()
        token = Secret(tokens["access_token"])
        self._told.step("instance", "redeemed the code: POST /token", access_token=token)
        return str(tokens["account"])


def _check(idp: IdP, data: Path) -> None:
    if len(idp.codes) != 1 or idp.redeemed != idp.codes:
        raise DemoFailed("The code was not redeemed exactly once.")
    code = idp.codes[0].encode()
    if any(code in path.read_bytes() for path in data.rglob("*") if path.is_file()):
        raise DemoFailed("A file of the relay holds the code.")
