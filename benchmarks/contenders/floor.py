"""The floor: what Starlette and uvicorn cost that do nothing, in the versions the relay runs on."""

import contextlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness.processes import Server, free_port, serving

VERSION = f"{version('starlette')} on uvicorn {version('uvicorn')}"


@contextlib.contextmanager
def floor() -> Iterator[Server]:
    port = free_port()
    here = str(Path(__file__).parent)
    app = ["floor_app:app", "--app-dir", here, "--port", str(port)]
    quiet = ["--no-access-log", "--no-server-header"]
    with serving([sys.executable, "-m", "uvicorn", *app, *quiet], port) as server:
        yield server
