"""`opencode-relay healthy`: whether a relay on this machine serves, for supervisors to ask."""

from __future__ import annotations

from typing import Annotated

import httpx
import typer

from opencode_relay.errors import ConfigError

_SECONDS = 5.0  # for each read; whoever asks has a limit for the whole
_UNIX = "unix:"


def healthy(
    host: Annotated[str, typer.Option(help="What its --host says.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="What its --port says.")] = 8787,
) -> None:
    """Ask a relay on this machine whether it serves: exit status 0, or 1 and a sentence."""
    path = host.removeprefix(_UNIX) if host.startswith(_UNIX) else None
    where = host if path else f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # A transport of its own goes through no proxy of the environment.
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), timeout=_SECONDS) as web:
        try:
            answer = web.get("http://relay/healthz" if path else f"{where}/healthz")
        except (httpx.HTTPError, httpx.InvalidURL) as wrong:
            raise ConfigError(
                f"No relay answers at {where} ({type(wrong).__name__}): name what `serve` listens "
                "on with --host and --port."
            ) from None
    if not answer.is_success:
        raise ConfigError(
            f"The relay at {where} answers {answer.status_code}: its log says what it lacks."
        )
