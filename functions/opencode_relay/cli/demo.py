"""`opencode-relay demo`: a complete login on this machine, with nothing else installed."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import tempfile
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
import typer
from starlette.types import ASGIApp

from opencode_relay.cli.demo_idp import CLIENT_ID, IdP, challenge_of
from opencode_relay.cli.home import AsJSON, Home
from opencode_relay.cli.loopback import Loopback
from opencode_relay.client import Client
from opencode_relay.errors import RelayError
from opencode_relay.instances import Instance
from opencode_relay.keyring import Keys
from opencode_relay.relay import Relay
from opencode_relay.secret import Secret
from opencode_relay.settings import Settings
from opencode_relay.web.app import make_app

PERSON = "ada"
_PROVIDER = "The demo's identity provider"
_SHOWN = 12  # characters of a secret


def demo(
    browser: Annotated[
        bool, typer.Option("--browser", help="Play the person yourself, in your browser.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show a complete login: a relay, an identity provider and an instance on this machine."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    told, idp = _Told(as_json), IdP()
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
            Client(relay_url, key=key.reveal()) as relay,
        ):
            idp.redirect_uri = f"{relay_url}/auth/callback"
            told.step("relay", "runs", url=relay_url, identity_provider=idp_url)
            account = _sign_in(told, relay, idp_url, browser=browser)
        _check(idp, data)
        told.step("check", "redeemed once, with PKCE; no file of the relay held the code")
        told.end(account)


def _sign_in(told: _Told, relay: Client, idp_url: str, *, browser: bool) -> str:
    """Play the instance."""
    login = relay.open(provider=_PROVIDER, idp_issuer=idp_url)
    if login.pairing_code is None:
        raise _DemoFailed("The relay gave no pairing code.")
    told.step(
        "instance",
        "opened a login: POST /v1/logins",
        login_id=login.login_id,
        state=login.state,
        redirect_uri=login.redirect_uri,
        pairing_code=login.pairing_code,
    )
    verifier = Secret(secrets.token_urlsafe(32))
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": login.redirect_uri,
        "state": login.state.reveal(),
        "code_challenge": challenge_of(verifier.reveal()),
        "code_challenge_method": "S256",
    }
    link = f"{idp_url}/authorize?{urlencode(query)}"
    if browser:
        told.ask(link, login.pairing_code.reveal())
    else:
        _play_the_person(told, link, relay_url=login.redirect_uri, code=login.pairing_code.reveal())
    params = relay.wait(login)
    told.step("instance", "collected and opened the sealed response", **_secret(params))
    if "error" in params:
        raise _DemoFailed("The identity provider answered with an error.")
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "code": params["code"],
        "redirect_uri": login.redirect_uri,
        "code_verifier": verifier.reveal(),
    }
    answer = httpx.post(f"{idp_url}/token", data=form)
    if answer.status_code != httpx.codes.OK:
        raise _DemoFailed("The identity provider refused the authorization code.")
    tokens = answer.json()
    token = Secret(tokens["access_token"])
    told.step("instance", "redeemed the code: POST /token", access_token=token)
    relay.finish(login)
    told.step("instance", "ended the login: DELETE /v1/logins/{login_id}")
    return str(tokens["account"])


def _play_the_person(told: _Told, link: str, *, relay_url: str, code: str) -> None:
    """Do what a person does in a browser: sign in, then type the pairing code and press Allow."""
    with httpx.Client() as web:
        page = web.get(link)
        told.step("person", "opened the link", status=page.status_code)
        answer = web.post(page.url.copy_with(query=None), data=_hidden(page) | {"login": PERSON})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise _DemoFailed("The identity provider did not redirect.")
        told.step("identity provider", "redirects to the relay", status=answer.status_code)
        page = web.get(answer.headers["location"])
        told.step("relay", "asks for the pairing code", status=page.status_code)
        origin = str(page.url.copy_with(raw_path=b"/")).rstrip("/")
        form = _hidden(page) | {"pairing_code": code, "decision": "allow"}
        answer = web.post(f"{origin}/auth/confirm", data=form, headers={"Origin": origin})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise _DemoFailed(f"{relay_url} did not accept the pairing code.")
        sealed = Secret(form["response"])
        told.step(
            "person", "typed the code and pressed Allow", pairing_code=Secret(code), response=sealed
        )


def _check(idp: IdP, data: Path) -> None:
    if len(idp.codes) != 1 or idp.redeemed != idp.codes:
        raise _DemoFailed("The code was not redeemed exactly once.")
    code = idp.codes[0].encode()
    if any(code in path.read_bytes() for path in data.rglob("*") if path.is_file()):
        raise _DemoFailed("A file of the relay holds the code.")


class _DemoFailed(RelayError):
    """The login of the demonstration did not go as it must."""


class _Told:
    """What has been told: each step at once in words, or all of them at the end as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._steps: list[dict[str, Any]] = []

    def step(self, who: str, what: str, **wire: Secret | str | int) -> None:
        shown = {name: _short(value) for name, value in wire.items()}
        self._steps.append({"who": who, "what": what, "wire": shown})
        if not self._as_json:
            print(f"{len(self._steps):2}. {who} {what}")
            for name, value in shown.items():
                print(f"      {name}: {value}")

    def ask(self, link: str, code: str) -> None:
        typer.echo(
            f"\nOpen this link, sign in with any name, and type the code {code} on the relay's "
            f"page:\n\n{link}\n",
            err=self._as_json,
        )

    def end(self, account: str) -> None:
        if self._as_json:
            print(json.dumps({"ok": True, "account": account, "steps": self._steps}, indent=2))
        else:
            print(f"\nIt worked: the instance holds a token of the account {account!r}.")


def _short(value: Secret | str | int) -> str | int:
    if not isinstance(value, Secret):
        return value
    text = value.reveal()
    return f"{text[: min(_SHOWN, len(text) // 3)]}… ({len(text)} characters)"


def _secret(params: dict[str, str]) -> dict[str, Secret | str]:
    return {name: Secret(v) if name == "code" else v for name, v in params.items()}


class _Hidden(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and found.get("type") == "hidden":
            self.fields[found["name"] or ""] = found["value"] or ""


def _hidden(page: httpx.Response) -> dict[str, str]:
    parser = _Hidden()
    parser.feed(page.text)
    return parser.fields
