"""The real command line in real processes, on loopback, each ended by its own process."""

import contextlib
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from opencode_relay.cli import main

from tests.support.wire import bearer, challenge_of

COMMAND = [sys.executable, "-m", "opencode_relay.cli"]
PATIENCE = 60  # seconds for what a busy machine may delay


def environment(**more: str) -> dict[str, str]:
    """This process's environment without its own RELAY_ settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def run(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run_here(*args: object, **env: str) -> Done:
    """Run a command in this process: as `run`, in a tenth of the time."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        # A command leaves its store to the end of its process, which this one does not reach.
        warnings.simplefilter("ignore", ResourceWarning)
        patched.setattr("sys.argv", ["opencode-relay", *map(str, args)])
        for name, value in env.items():
            patched.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def run_json(*args: object) -> Any:
    """Run a command that must succeed, and return the JSON it prints."""
    done = run_here(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until(look: Callable[[], Any], what: str) -> Any:
    """Look again and again until the answer is truthy."""
    for _ in range(PATIENCE * 20):
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


class Served:
    """A `serve` process. `logs` is where its output is kept; without `data` it shares tables."""

    def __init__(self, data: Path | None, logs: Path, *args: object, **env: str) -> None:
        self._data = data
        where = () if data is None else ("--data", str(data))
        self._out, self._err = logs / "stdout", logs / "stderr"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", "0", *where, *map(str, args)],
                env=environment(**env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        try:
            self.url = until(self._listening, "listening")
            with self.http() as http:
                http.get("/healthz")  # answered: it takes signals too
        except (AssertionError, httpx.HTTPError):
            self.kill()
            raise

    def _listening(self) -> str | None:
        if self.process.poll() is not None:
            raise AssertionError(f"serve ended: {self.stderr}")
        found = re.search(r"listens on (\S+)\nIts URL is", self.stdout)
        return found[1] if found else None

    def http(self) -> httpx.Client:
        """Speak to it, also where it listens on a Unix socket."""
        if not self.url.startswith("unix:"):
            return httpx.Client(base_url=self.url, timeout=PATIENCE)
        transport = httpx.HTTPTransport(uds=self.url.removeprefix("unix:"))
        return httpx.Client(transport=transport, base_url="http://relay", timeout=PATIENCE)

    @property
    def data(self) -> Path:
        assert self._data
        return self._data

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]

    @property
    def key(self) -> str:
        """The first instance's, which its first start wrote down."""
        return (self.data / "instance.key").read_text().strip()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end, and return its exit status."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End the process if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)


MakeServed = Callable[..., Served]


class Client:
    """An instance that calls a `serve` process with its key."""

    def __init__(self, served: Served, key: str | None) -> None:
        self.url = served.url
        self._key = {"Authorization": f"Bearer {key}"} if key else {}

    def body(self) -> dict[str, Any]:
        self.verifier = secrets.token_urlsafe(32)
        return {
            "collect_challenge": challenge_of(self.verifier),
            "encryption_key": ECKey.generate_key("P-256").as_dict(private=False),
            "name": "a test",
        }

    def post(
        self, members: dict[str, str] | None = None, forwarded: str | None = None
    ) -> httpx.Response:
        body = {**self.body(), **(members or {})}
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        return httpx.post(f"{self.url}/v1/logins", json=body, headers=self._key | headers)

    def open(self) -> dict[str, Any]:
        answer = self.post()
        assert answer.status_code == 201, answer.text
        login: dict[str, Any] = answer.json()
        return login

    def collect(self, login: dict[str, Any], wait: int = 0, url: str = "") -> httpx.Response:
        return httpx.get(
            f"{url or self.url}/v1/logins/{login['login_id']}/response?wait={wait}",
            headers=bearer(self.verifier),
            timeout=PATIENCE,
        )
