"""`opencode-relay doctor`: looks at a running relay as its clients do."""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from email.utils import parsedate_to_datetime
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from opencode_relay import outgoing
from opencode_relay.cli.home import AsJSON
from opencode_relay.client import Client, ClientError, LoginOver, OpenLogin
from opencode_relay.errors import ConfigError
from opencode_relay.response import LEEWAY

from .checks import Check, Finding, NotTried, Wrong, carry_out, certificate
from .instance import HELD, InstanceExamination

_MARKS = {True: "✓", False: "✗", None: "-"}
_CSP = ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'")


def doctor(
    url: Annotated[str | None, typer.Argument(help="The relay's URL.")] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="OPENCODE_RELAY_KEY", help="An instance key, to try a whole login."),
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(help=f"An opencode's public URL: check its proxy; takes {HELD} seconds."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Check a running relay with one whole login of a made-up code, or an opencode's proxy."""
    if url is None and instance is None:
        raise ConfigError("Name a relay's URL, or an opencode's with --instance.")
    findings: list[Finding] = []
    with outgoing.blocking() as web:
        if url is not None:
            with Client(url, key=key) as relay:
                findings += Examination(relay, web, url, has_key=key is not None).findings()
        if instance is not None:
            findings += InstanceExamination(web, instance).findings()
    good = all(finding.ok is not False for finding in findings)
    if as_json:
        rows = [{"check": f.check, "ok": f.ok, "seen": f.seen} for f in findings]
        print(json.dumps({"ok": good, "checks": rows}, ensure_ascii=False))
    else:
        table = Table("", "Check", "What was seen")
        for finding in findings:
            table.add_row(_MARKS[finding.ok], finding.check, finding.seen.replace("[", "\\["))
        Console().print(table)
        print("All is well." if good else "Something has to be mended: see the ✗ above.")
    if not good:
        sys.exit(1)


class Examination:
    """The checks of a relay, in the order in which one needs the other."""

    def __init__(self, relay: Client, web: httpx.Client, url: str, *, has_key: bool) -> None:
        self._relay = relay
        self._web = web
        self._url = url
        self._has_key = has_key

    def findings(self) -> list[Finding]:
        """Make every check that can be made; each is named in words."""
        checks: list[Check] = [
            ("certificate", lambda: certificate(self._url)),
            ("answers as a relay", self._discovery),
            ("store and keys", self._health),
            ("clock", self._clock),
            ("signing keys", self._jwks),
            ("headers of its pages", self._headers),
            ("a whole login", self._login),
        ]
        return carry_out(checks, needed=2)

    def _discovery(self) -> str:
        found = self._relay.discover()
        return f"protocol 1, version {str(found.get('version'))[:20]}, {found.get('enrolment')}"

    def _health(self) -> str:
        answer = self._web.get(f"{self._url}/healthz")
        if answer.status_code != httpx.codes.OK:
            raise Wrong("/healthz says that the store or the keys cannot be read.")
        return "readable"

    def _clock(self) -> str:
        sent = self._web.get(f"{self._url}/healthz").headers.get("date", "")
        try:
            apart = abs(parsedate_to_datetime(sent).timestamp() - time.time())
        except ValueError:
            return "the relay sends no date"
        if apart >= LEEWAY:
            raise Wrong(f"It differs from this machine's by {int(apart)} s: mend the wrong one.")
        return "agrees with this machine's"

    def _jwks(self) -> str:
        found = self._web.get(self._relay.discover()["jwks_uri"]).json()
        keys = [k for k in found.get("keys", []) if k.get("alg") == "ES256" and "d" not in k]
        if not keys or len(keys) != len(found["keys"]):
            raise Wrong("The key set must hold public ES256 keys and nothing else.")
        return f"{len(keys)} public"

    def _headers(self) -> str:
        headers = self._web.get(self._relay.discover()["redirect_uri"]).headers
        wanted = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        missing = [name for name, value in wanted.items() if headers.get(name) != value]
        policy = headers.get("content-security-policy", "")
        if any(part not in policy for part in _CSP):
            missing.append("content-security-policy")
        if self._url.startswith("https://") and "strict-transport-security" not in headers:
            missing.append("strict-transport-security")
        if missing:
            raise Wrong(f"Something on the way takes these away or changes them: {missing}.")
        return "as the protocol says"

    def _login(self) -> str:
        found = self._relay.discover()
        if not self._has_key and found["enrolment"] != "open":
            raise NotTried("give an instance key with --key to try this")
        code = f"made-up-{secrets.token_hex(8)}"
        login = self._relay.open(name="doctor", provider="doctor", completion_code=True)
        try:
            query = {"state": login.state.reveal(), "code": code}
            page = self._web.get(login.redirect_uri, params=query)
            shown = re.search(r"<code[^>]*>([0-9A-Z]{4}-[0-9A-Z]{4})</code>", page.text)
            if shown is None:
                raise Wrong(f"The callback answered {page.status_code} and no completion code.")
            self._relay.complete(login, shown[1])
            if self._relay.wait(login, 30) != {"code": code}:
                raise Wrong("Another code came back than was sent.")
        finally:
            self._relay.finish(login)
        _erased(self._relay, login)
        return "opened, sealed, collected, verified, erased"


def _erased(relay: Client, login: OpenLogin) -> None:
    try:
        relay.wait(login, 5)
    except LoginOver as over:
        if over.code == "login-not-found":
            return
    except ClientError:
        pass
    raise Wrong("The login is still there after it was finished.")
