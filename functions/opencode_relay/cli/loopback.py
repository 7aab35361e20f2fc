"""An app on a free port of this machine, in a thread, for as long as a `with` block."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from opencode_relay.machine.server import BoundedProtocol


class Loopback:
    """Serves what `make` gives for the URL; entering returns that URL."""

    def __init__(
        self, make: Callable[[str], ASGIApp], listeners: list[socket.socket] | None = None
    ) -> None:
        self._make = make
        self._listeners = listeners or [socket.create_server(("127.0.0.1", 0))]
        self.url = f"http://127.0.0.1:{self._listeners[0].getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        # Made here, because what it opens belongs to the thread that uses it.
        config = uvicorn.Config(
            self._make(self.url),
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
        )
        self._server = uvicorn.Server(config)
        self._server.run(self._listeners)

    def __enter__(self) -> str:
        self._thread.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.should_exit = True
        self._thread.join(timeout=10)
        for listener in self._listeners:
            listener.close()
