"""Lambda on loopback: the Runtime API, and an artifact under the real Runtime Interface Client."""

import json
import os
import queue
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.aws.tools import TOOLS

PYTHON = TOOLS / "ric" / "bin" / "python"
LAUNCH = Path(__file__).with_name("launch.py")
LIMIT = 30  # seconds after which API Gateway gives an integration up
PATIENCE = 60  # seconds for what a busy machine may delay
_TICKS = os.sysconf("SC_CLK_TCK")


class FunctionFailed(Exception):
    """The function raised, ended, or did not answer in time; holds what it told of it."""


class _RuntimeAPI(BaseHTTPRequestHandler):
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, as far as it is used."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    environment: "Environment"

    def do_GET(self) -> None:
        if self.path.endswith("/restore/next"):
            self.environment.stopped.set()
            self.environment.restored.wait()
            self._answer(200, b"")
            return
        self.environment.stopped.set()
        number, event = self.environment.events.get()
        if number < 0:
            self.close_connection = True
            return
        self._answer(
            200,
            event,
            **{
                "Content-Type": "application/json",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                "Lambda-Runtime-Aws-Request-Id": str(number),
                "Lambda-Runtime-Deadline-Ms": "9999999999999",
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:f",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        *_, number, what = self.path.split("/")
        if number == "init":
            self.environment.answers.put((-1, "error", body))
            self.environment.stopped.set()
        else:
            self.environment.answers.put((int(number), what, body))
        self._answer(202, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of five, the sixth would wait for a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # as when an environment is ended
            super().handle_error(request, client_address)


class Environment:
    """One execution environment: a process that answers one event at a time.

    `snapshot` stops it after its start as SnapStart does, until `restore`.
    """

    def __init__(
        self,
        artifact: Path,
        handler: str,
        variables: dict[str, str],
        logs: Path,
        *,
        snapshot: bool = False,
    ) -> None:
        self.events: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self.answers: queue.Queue[tuple[int, str, bytes]] = queue.Queue()
        self.stopped, self.restored = threading.Event(), threading.Event()
        self._number, self._lock = 0, threading.Lock()
        runtime = type("RuntimeAPI", (_RuntimeAPI,), {"environment": self})
        self._server = _Server(("127.0.0.1", 0), runtime)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._log = logs
        started = "snap-start" if snapshot else "on-demand"
        with logs.open("w") as out:
            self.process = subprocess.Popen(
                [str(PYTHON), "-B", str(LAUNCH), handler],
                cwd=artifact,
                env={
                    "PATH": "/usr/bin:/bin",
                    "AWS_REGION": "us-east-1",
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_SECRET_ACCESS_KEY": "x",
                    "AWS_ACCESS_KEY_ID": handler.partition(".")[0],
                    "AWS_LAMBDA_FUNCTION_NAME": handler.partition(".")[0],
                    "AWS_LAMBDA_INITIALIZATION_TYPE": started,
                    "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
                    "LAMBDA_TASK_ROOT": str(artifact),
                    "_HANDLER": handler,
                    **variables,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """Everything that the function has written."""
        return self._log.read_text()

    def started(self) -> None:
        """Wait until init is over: the snapshot's moment."""
        assert self.stopped.wait(PATIENCE), self.log

    def restore(self) -> None:
        self.restored.set()

    def invoke(self, event: dict[str, Any], limit: float = PATIENCE) -> Any:
        """Return the function's answer. Raises FunctionFailed."""
        with self._lock:
            self._number += 1
            self.events.put((self._number, json.dumps(event).encode()))
            for _ in range(int(limit * 10)):
                try:
                    number, what, body = self.answers.get(timeout=0.1)
                except queue.Empty:
                    if self.process.poll() is not None:
                        raise FunctionFailed(self.log) from None
                    continue
                if what == "error":
                    raise FunctionFailed(body.decode())
                if number == self._number:
                    return json.loads(body)
        raise FunctionFailed(f"no answer in {limit} s")

    def cpu(self) -> float:
        """Return the seconds of CPU that the process has taken since it began."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def close(self) -> None:
        """End it at once, whatever it does: Lambda freezes and drops environments likewise."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.restored.set()
        self.events.put((-1, b""))
        self._server.shutdown()
        self._server.server_close()
