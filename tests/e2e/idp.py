"""The identity provider (idp.mjs): its log says which account every token was issued to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import HERE, running

CLIENT_ID = "app_e2e"
LOCALHOST = [f"http://localhost:{port}/auth/callback" for port in (1455, 1457)]


@dataclass(frozen=True)
class Idp:
    issuer: str
    log: Path

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [one for one in map(json.loads, lines) if one["event"] == event]

    def tokens_of(self, account: str) -> list[dict[str, Any]]:
        """Every redemption of a code that gave this account's tokens, oldest first."""
        return [one for one in self.events("token") if one["account"] == account]

    def refusals_of(self, code: str) -> list[dict[str, Any]]:
        """Every token request with this code that was refused: redeemed twice, or without PKCE."""
        return [one for one in self.events("token-error") if one["code"] == code]


@contextmanager
def identity_provider(
    port: int, redirect_uris: list[str], home: Path, form_action: str = "*"
) -> Iterator[Idp]:
    issuer = f"http://localhost:{port}"
    log = home.with_suffix(".log")
    with running(
        ["node", f"{HERE}/idp.mjs"],
        home=home,
        log=log,
        ready=f"{issuer}/.well-known/openid-configuration",
        env={
            "PORT": str(port),
            "ISSUER": issuer,
            "CLIENT_ID": CLIENT_ID,
            "REDIRECT_URIS": json.dumps(redirect_uris),
            "FORM_ACTION": form_action,
        },
    ):
        yield Idp(issuer, log)
