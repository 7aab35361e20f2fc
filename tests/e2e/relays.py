"""The relay as its operator serves it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .idp import CLIENT_ID, ISSUER
from .processes import running

RELAY = Path(sys.executable).with_name("opencode-relay")
RELAY_HOST = "relay.example"  # of a relay that is not on loopback


def origin(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class Relay:
    issuer: str
    data: Path
    log: Path

    @property
    def options(self) -> dict[str, str]:
        """The plugin's options, with the key that `serve` wrote down at its first start."""
        return {"relay": self.issuer, "key": (self.data / "instance.key").read_text().strip()}


@contextmanager
def relay_at(
    public: str, port: int, home: Path, *, registered: bool = True, confirmation: str = ""
) -> Iterator[Relay]:
    clients = [{"issuer": ISSUER, "client_id": CLIENT_ID}] if registered else []
    data = home / "data"
    options = [f"--port={port}", f"--public-url={public}", f"--data={data}", f"--name={home.name}"]
    log = home.with_suffix(".log")
    env = {"RELAY_REGISTERED_CLIENTS": json.dumps(clients), "RELAY_CONFIRMATION": confirmation}
    ready = f"http://127.0.0.1:{port}/healthz"
    with running([str(RELAY), "serve", *options], home=home, log=log, ready=ready, env=env):
        yield Relay(public, data, log)
