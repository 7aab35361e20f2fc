"""`healthy`: what a supervisor asks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.served import MakeServed, run, run_here

PROXY = "http://127.0.0.1:9"  # nobody listens there


class Sick(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def sick() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Sick) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_relay_that_serves_is_healthy(serve: MakeServed) -> None:
    port = serve().url.rpartition(":")[2]
    done = run_here("healthy", "--port", port, HTTP_PROXY=PROXY, ALL_PROXY=PROXY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_unix_socket_is_asked(serve: MakeServed, tmp_path: Path) -> None:
    host = f"unix:{tmp_path}/relay.sock"
    serve("--public-url=https://relay.example", f"--host={host}")
    assert run_here("healthy", "--host", host).returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "unix:/nowhere/relay.sock", "no host"])
def test_where_none_is_it_says_so(host: str) -> None:
    done = run("healthy", "--host", host, "--port", free_port())
    assert done.returncode == 1
    assert done.stderr.startswith("opencode-relay: No relay answers at ")
    assert "--host and --port" in done.stderr


def test_one_that_cannot_serve_is_not() -> None:
    with sick() as port:
        done = run_here("healthy", "--port", port)
    assert done.returncode == 1
    assert "answers 503" in done.stderr
