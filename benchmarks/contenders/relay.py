"""This project's relay as operators run it: `opencode-relay serve`, SQLite, logging as by default.

Only its limits are off, for one instance opens all logins here.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from opencode_relay import __version__

from benchmarks.harness.processes import Server, free_port, serving

VERSION = __version__
NO_LIMITS = {"RELAY_OPEN_LIMIT": "0", "RELAY_ADDRESS_LIMIT": "0"}
RETURN_URL = "https://instance.example/auth/callback"
PROGRAM = Path(sys.executable).parent / "opencode-relay"


def command(port: int, data: Path) -> list[str | Path]:
    return [PROGRAM, "serve", "--port", str(port), "--data", data, "--name", "bench"]


def allow_return(data: Path) -> None:
    """Register RETURN_URL for the first instance of a relay that has been started."""
    listed = _instances(data, "list")
    _instances(data, "update", json.loads(listed)[0]["instance_id"], "--return-url", RETURN_URL)


def _instances(data: Path, *args: str) -> str:
    command: list[str | Path] = [PROGRAM, "instances", *args, "--data", data, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@contextlib.contextmanager
def relay(env: Mapping[str, str] | None = None) -> Iterator[tuple[Server, str]]:
    """Start a relay with an empty store; yield it and the key of its one instance."""
    with TemporaryDirectory(prefix="relay-bench-") as directory:
        data, port = Path(directory), free_port()
        with serving(command(port, data), port, {**NO_LIMITS, **(env or {})}) as server:
            allow_return(data)
            yield server, (data / "instance.key").read_text().strip()
