"""This project's relay as operators run it: `opencode-relay serve`, SQLite, logging as by default.

Only its limits are off, for one instance opens all logins here.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from opencode_relay import __version__

from benchmarks.harness.processes import Server, free_port, serving

VERSION = __version__
NO_LIMITS = {"RELAY_OPEN_LIMIT": "0", "RELAY_ADDRESS_LIMIT": "0"}


def command(port: int, data: Path) -> list[str | Path]:
    program = Path(sys.executable).parent / "opencode-relay"
    return [program, "serve", "--port", str(port), "--data", data, "--name", "bench"]


@contextlib.contextmanager
def relay(env: Mapping[str, str] | None = None) -> Iterator[tuple[Server, str]]:
    """Start a relay with an empty store; yield it and the key of its first instance."""
    with TemporaryDirectory(prefix="relay-bench-") as directory:
        data, port = Path(directory), free_port()
        with serving(command(port, data), port, {**NO_LIMITS, **(env or {})}) as server:
            entry = json.loads((data / "opencode.json").read_text())
            yield server, str(entry["plugin"][0][1]["key"])
