"""`opencode-relay catch`: on the person's own machine, sends the browser on to the relay.

Some identity providers redirect to `http://localhost:1455/auth/callback` and nowhere else. This
listens there, and does nothing but give the browser the relay's address with the same query: it
never calls the relay itself, so it has nothing that a request from elsewhere could use.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opencode_relay import addresses
from opencode_relay.errors import ConfigError
from opencode_relay.keys.state import unverified_issuer
from opencode_relay.machine.server import BoundedProtocol
from opencode_relay.web.pages import Pages
from opencode_relay.web.requests import fetched_early, parse_once

PORT = 1455
PATH = "/auth/callback"
STATE_BEGINS = "eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QiLCJhbGciOiJIUzI1NiI"  # protocol, state
LINGER = 60  # seconds that `--once` goes on after it passed a second answer on
LIFETIME = 600  # seconds that it goes on after the first: any page can send one that is forged
_HOSTS = {f"{host}:{PORT}" for host in ("localhost", "127.0.0.1", "[::1]")}
_NAVIGATION = ("navigate", "document")


def catch(
    relay: Annotated[str, typer.Option(help="The relay's URL.")],
    once: Annotated[
        bool, typer.Option("--once", help="End by itself, some minutes after a sign-in.")
    ] = False,
) -> None:
    """Send sign-ins that end on localhost:1455 of this machine on to the relay."""
    catcher = Catcher(addresses.origin(relay, "--relay"))
    listeners = listen()  # before it is said, so that who reads it can go on
    print(f"Waiting on http://localhost:{PORT}{PATH} for sign-ins through {relay}", flush=True)
    print("Sign in now, in a browser on this machine. Ctrl-C ends this.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(catcher, listeners, once=once))


def _say(words: str) -> None:
    print(words, flush=True)


class Catcher:
    """Answers top-level navigations to the callback, and nothing else."""

    def __init__(self, relay: str, say: Callable[[str], None] = _say) -> None:
        self._relay = relay
        self._say = say
        self._pages = Pages()
        self.passed_on = asyncio.Event()
        route = Route(PATH, self.callback, methods=["GET"])
        route.methods = {"GET"}
        self.app = Starlette(routes=[route])
        self.app.router.redirect_slashes = False

    async def callback(self, request: Request) -> Response:
        if not _is_navigation(request):
            return self._pages.not_carried(403, self._relay)
        query: bytes = request.scope["query_string"]
        if not query.isascii():
            query = b""  # no browser sends such a query, and an address cannot carry it
        state = (parse_once(query) or {}).get("state", "")
        # A filter, not a check: the relay verifies the state. It leaves other programs' sign-ins
        # alone, and sends nobody's code to a relay that did not open the login.
        if not state.startswith(STATE_BEGINS) or unverified_issuer(state) != self._relay:
            self._say("Left alone: an answer that is not for this relay.")
            return self._pages.not_carried(404, self._relay)
        self._say("Passed on: an answer for this relay. Go on in the browser.")
        self.passed_on.set()
        # A page, not a 3xx: an identity provider's form-action holds for a chain of redirects.
        return self._pages.carry(
            self._relay, address=f"{self._relay}{PATH}?{query.decode('ascii')}"
        )


def _is_navigation(request: Request) -> bool:
    """Tell a person's navigation from what a page in the browser, or a rebound name, sends."""
    headers = request.headers
    if fetched_early(headers.raw):
        return False
    sent = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return sent in {_NAVIGATION, (None, None)} and headers.get("host") in _HOSTS


def listen() -> list[socket.socket]:
    listeners = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            listeners.append(socket.create_server((host, PORT), family=family))
        except OSError as wrong:
            if family == socket.AF_INET6 and listeners and not _in_use(wrong):
                continue  # a machine without IPv6
            raise ConfigError(
                f"Cannot listen on {host}, port {PORT}: {wrong.strerror}. Another sign-in may be "
                "waiting there (codex or opencode on this machine): end it and try again."
            ) from None
    return listeners


def _in_use(wrong: OSError) -> bool:
    return "in use" in (wrong.strerror or "").lower()


async def used(passed_on: asyncio.Event) -> None:
    """Return when no more answers are to be expected.

    The first may be a page's with a forged state, sent to use the catcher up before the person's
    own comes: so it ends with a login's lifetime, or a minute after the last of several.
    """
    await passed_on.wait()
    left = LIFETIME
    with contextlib.suppress(TimeoutError):
        while True:
            passed_on.clear()
            async with asyncio.timeout(left):
                await passed_on.wait()
            left = LINGER


async def _serve(catcher: Catcher, listeners: list[socket.socket], *, once: bool) -> None:
    config = uvicorn.Config(
        catcher.app,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,  # its lines would hold the code
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    async def end() -> None:
        await used(catcher.passed_on)
        server.should_exit = True

    ending = asyncio.create_task(end()) if once else None
    try:
        await server.serve(sockets=listeners)
    finally:
        if ending:
            ending.cancel()
