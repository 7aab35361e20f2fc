"""ChatGPT at its own addresses, played by idp.mjs, whose log says whose every token is."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .outside import Outside, outside
from .processes import HERE, running
from .proxies import Certificate

HOST = "auth.openai.com"
ISSUER = f"https://{HOST}"
CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
LOCALHOST = [f"http://localhost:{port}/auth/callback" for port in (1455, 1457)]


@dataclass(frozen=True)
class Idp:
    log: Path
    outside: Outside
    issuer: str = ISSUER

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
    port: int,
    redirect_uris: list[str],
    home: Path,
    certificate: Certificate,
    form_action: str = "*",
    *,
    host: str = HOST,
    client_id: str = CLIENT_ID,
    metadata: str = "/.well-known/openid-configuration",
) -> Iterator[Idp]:
    """Play ChatGPT, or whoever is at `host`."""
    log = home.with_suffix(".log")
    issuer = f"https://{host}"
    with (
        running(
            ["node", f"{HERE}/idp.mjs"],
            home=home,
            log=log,
            ready=f"http://127.0.0.1:{port}{metadata}",
            env={
                "PORT": str(port),
                "ISSUER": issuer,
                "CLIENT_ID": client_id,
                "METADATA": metadata,
                "REDIRECT_URIS": json.dumps(redirect_uris),
                "FORM_ACTION": form_action,
            },
        ),
        outside(certificate, {host: port}) as proxy,
    ):
        yield Idp(log, proxy, issuer)
