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

from opencode_relay import addresses
from opencode_relay.relay import Relay
from opencode_relay.settings import UNIX_PEER
from opencode_relay.web.app import make_app

from . import descriptors
from .chores import Chores
from .proxies import behind

MAX_HEAD = 32 * 1024  # bytes of a request beside its body; uvicorn itself has no limit
DEADLINE = 15  # seconds for a head, then for a body, and for taking an answer; uvicorn has none
# Seconds that an unused connection stays, above those of the usual proxies (60 for AWS's balancer,
# and nginx): where the relay is the first to end it, a request that is on its way is lost.
BEHIND_PROXIES = 75
_ALONE = 5
_GRACE = 5  # seconds that requests have to end after SIGTERM


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose other side leaves something unfinished: each holds a place.

    They end without a 408, which a browser that connected ahead of its first request would take
    for the answer to it.

    A request that is sent before the one ahead of it is answered is not taken, and that answer says
    that the connection closes (RFC 9112 section 9.3.2): uvicorn would forget who waits for it, and
    not notice that they have left.
    """

    # No attributes like the others: from the 31st on CPython would keep all of them in a dict of
    # each connection's own, and thousands wait.
    __slots__ = ("_deaf", "_ends", "_fields", "_head", "_whole")

    _ends: asyncio.TimerHandle | None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head = self._fields = 0
        self._whole = False  # whether all of the newest message is here
        self._deaf = False  # whether what comes is not taken any more
        self._ends = None
        super().connection_made(transport)
        if self.client is None:
            if transport.get_extra_info("socket").family == socket.AF_UNIX:
                self.client = (UNIX_PEER, 0)
        elif self.client[0].startswith("::ffff:"):
            # On a socket for both families: proxies are named by their IPv4 address.
            self.client = (addresses.client(self.client[0]), self.client[1])
        self._watch()
        if descriptors.scarce(transport.get_extra_info("socket")):
            transport.abort()  # or the next key, page or import could not be read

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if self._answering:
            self._deaf = True
            self.cycle.keep_alive = False
        if self._deaf:
            return
        self._whole = False
        self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._deaf:
            return
        self._fields += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._deaf:
            return
        self._fields += len(name) + len(value)
        if self._fields > MAX_HEAD:  # one that comes in a single piece
            raise ValueError("the head is too large")  # ends the parser, and that the connection
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._deaf:
            return
        self._unwatch()  # the body's time is its own
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._head -= len(body)  # has limits of its own, where it is read
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._deaf:
            return
        self._head = 0
        self._whole = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")
        self._watch()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: any stranger can ask for WebSockets, and uvicorn's advice would mislead."""

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    @property
    def _answering(self) -> bool:
        return self._whole and not self.cycle.response_complete

    def _watch(self) -> None:
        """Let `DEADLINE` run while the other side has something to do; nothing begins it anew."""
        if self._answering and not self.flow.write_paused:
            self._unwatch()
        elif self._ends is None:
            self._ends = self.loop.call_later(DEADLINE, self._end)

    def _unwatch(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _end(self) -> None:
        self._ends = None
        self.transport.abort()  # to close would wait until it takes what was written


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


def configured(relay: Relay) -> uvicorn.Config:
    return uvicorn.Config(
        behind(relay.settings.trusted_proxies, make_app(relay), relay.events),
        http=BoundedProtocol,
        log_config=None,
        access_log=False,  # its lines hold queries, and a query holds a code
        proxy_headers=False,  # `behind` does that
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=BEHIND_PROXIES if relay.settings.trusted_proxies else _ALONE,
        timeout_graceful_shutdown=_GRACE,
    )


def run(relay: Relay, chores: Chores, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    _allow_many_connections()
    config = configured(relay)
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
