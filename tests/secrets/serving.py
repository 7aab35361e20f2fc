"""A real `opencode-relay serve`, whose every output is kept, and everybody who calls it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from tests.threats.world import World

STARTS, ENDS = 30, 20  # seconds that it may take to


class Remote(World):
    """The same people as in process, calling a relay elsewhere."""

    def __init__(self, url: str, instance_key: str) -> None:
        self.url = url
        self.instance_key = instance_key
        self._client = httpx.AsyncClient(base_url=url)

    def at(self, address: str) -> httpx.AsyncClient:  # noqa: ARG002  # they all come from loopback
        return self._client

    async def close(self) -> None:
        await self._client.aclose()


class Serve:
    """The process, its data directory, and what it has written so far."""

    def __init__(self, data: Path, output: Path, process: subprocess.Popen[bytes]) -> None:
        self.data = data
        self._output = output
        self.process = process
        self.url = ""

    def output(self) -> bytes:
        return self._output.read_bytes()

    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.data.iterdir() if file.is_file()}

    def first_key(self) -> str:
        """The first instance's key, which `DIR/instance.key` holds for its operator."""
        return (self.data / "instance.key").read_text().strip()

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(ENDS) == 0


def command(*words: str | Path) -> list[str]:
    run = "from opencode_relay.cli import main; main()"
    return [sys.executable, "-c", run, *map(str, words)]


@contextmanager
def serve(directory: Path) -> Iterator[Serve]:
    data, output = directory / "data", directory / "output"
    env = {**os.environ, "RELAY_LOG_LEVEL": "debug", "PYTHONUNBUFFERED": "1"}
    arguments = command("serve", "--port", "0", "--data", data, "--name", "workshop")
    with output.open("wb") as file, started(arguments, env, file) as process:
        running = Serve(data, output, process)
        while not running.url:
            found = re.search(rb"Its URL is (\S+)\n", running.output())
            running.url = found[1].decode() if found else ""
            assert process.poll() is None, running.output().decode()
        yield running


@contextmanager
def started(
    arguments: list[str], env: dict[str, str], file: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(arguments, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
