"""The floor: what Starlette and uvicorn cost that do nothing, in the versions the relay runs on."""

import contextlib
import secrets
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness.client import Answer, request
from benchmarks.harness.processes import Server, free_port, serving

VERSION = f"{version('starlette')} on uvicorn {version('uvicorn')}"


@contextlib.contextmanager
def floor() -> Iterator[Server]:
    port = free_port()
    apps = str(Path(__file__).parent / "apps")
    app = ["floor_app:app", "--app-dir", apps, "--port", str(port)]
    quiet = ["--no-access-log", "--no-server-header"]
    with serving([sys.executable, "-m", "uvicorn", *app, *quiet], port) as server:
        yield server


def callback(server: Server, code: str) -> bytes:
    path = f"/auth/callback?code={code}&state={secrets.token_urlsafe(200)}"
    return request("GET", path, server.port)


def redirected(answer: Answer) -> bool:
    return answer.status == 302 and "/back?state=" in answer.header("location")  # noqa: PLR2004
