"""uvicorn as the relay wants it: bounded, quiet, believing no proxy it was not told of."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from opencode_relay.relay import Relay
from opencode_relay.web.app import make_app

from .housekeeping import Housekeeping

MAX_HEAD = 32 * 1024  # bytes of a request beside its body; uvicorn itself has no limit
_GRACE = 5  # seconds that requests have to end after SIGTERM


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose head, or trailers, do not end: they would be kept in memory."""

    _head = 0

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._head -= len(body)  # has limits of its own, where it is read
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")


class _Server(uvicorn.Server):
    """Sends those who wait home when it is told to end, instead of making it wait for them."""

    def __init__(self, config: uvicorn.Config, relay: Relay) -> None:
        super().__init__(config)
        self._relay = relay
        self.loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self.loop:
            self.loop.call_soon_threadsafe(self._relay.bells.close)


def run(relay: Relay, chores: Housekeeping, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    _allow_many_connections()
    proxies = list(relay.settings.trusted_proxies)
    config = uvicorn.Config(
        make_app(relay),
        http=BoundedProtocol,
        log_config=None,
        access_log=False,  # its lines hold queries, and a query holds a code
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_GRACE,
    )
    server = _Server(config, relay)

    async def serve() -> None:
        server.loop = asyncio.get_running_loop()
        doing = asyncio.create_task(chores.run())
        try:
            await server.serve(sockets=[listener])
        finally:
            doing.cancel()

    # uvicorn takes these over and raises them again once it has ended: asked to end and ended is a
    # success. One that comes before it is up ends it as soon as it is.
    def end(*_: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())


def _allow_many_connections() -> None:
    """Each waiting instance is an open file, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems name a limit they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
