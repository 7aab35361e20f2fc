"""Real programs on loopback ports, each ended by its own process id."""

import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Generic, Self, TypeVar

import httpx

HERE = Path(__file__).parent
OPENCODE = HERE / "node_modules" / ".bin" / "opencode"
CHROMIUM = Path("/usr/bin/chromium")


T = TypeVar("T")


def wait_until(look: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Look again and again until the answer is truthy. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.1)
    return found


def answers(url: str, trusted: ssl.SSLContext | bool) -> bool:
    try:
        # opencode never answers what it is asked too early.
        return httpx.get(url, timeout=2, verify=trusted).is_success
    except httpx.TransportError:
        return False


@contextmanager
def running(
    argv: list[str],
    *,
    home: Path,
    log: Path,
    ready: str,
    env: Mapping[str, str] | None = None,
    trusted: ssl.SSLContext | bool = True,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with a home of its own until the block ends; enter once `ready` answers 2xx."""
    home.mkdir(parents=True, exist_ok=True)
    # Coverage of a program of ours needs its own variables in the otherwise empty environment.
    passed = {k: v for k, v in os.environ.items() if k == "PATH" or k.startswith("COVERAGE_")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv,
            cwd=home,
            env={**passed, "HOME": str(home), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def up() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"{argv[0]} ended at once: {log.read_text()[-2000:]}")
        return answers(ready, trusted)

    try:
        wait_until(up, f"{ready} answers")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Restartable(Generic[T]):
    """What `run` runs, and runs once more, at the same address and with what it stored."""

    def __init__(self, run: Callable[[], AbstractContextManager[T]]) -> None:
        self._run = run
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self.now = self._running.enter_context(self._run())
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def restart(self) -> None:
        self._running.close()
        self.__enter__()


def nginx(server: str, *, home: Path, ready: str) -> AbstractContextManager[None]:
    """Run nginx with one `server` block's content."""
    upgrade = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"
    return nginx_with(f"{upgrade} server {{ {server} }}", home=home, ready=ready)


@contextmanager
def nginx_with(
    http: str, *, home: Path, ready: str, trusted: ssl.SSLContext | bool = True
) -> Iterator[None]:
    """Run nginx with the content of its `http` block."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "nginx.conf").write_text(f"""
        daemon off; worker_processes 1; pid {home}/pid; error_log stderr;
        events {{ }}
        http {{
          access_log off;
          client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
          fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
          {http}
        }}""")
    program = shutil.which("nginx")
    assert program
    argv = [program, "-p", f"{home}", "-c", f"{home}/nginx.conf", "-e", "stderr"]
    with running(argv, home=home, log=home.with_suffix(".log"), ready=ready, trusted=trusted):
        yield
