"""A proxy in front that nobody named: everybody would share its address, and its limits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from opencode_relay.addresses import NOBODYS
from opencode_relay.events import Events
from opencode_relay.settings import UNIX_PEER

_FORWARDED = {b"x-forwarded-for", b"forwarded"}


def behind(trusted: Sequence[str], app: ASGIApp, events: Events) -> ASGIApp:
    """Let `app` believe what `trusted` proxies (CIDRs) say of their callers, and nobody else."""
    believing = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), list(trusted)))
    return UntrustedProxies(believing if trusted else app, trusted, events)


class UntrustedProxies:
    """Tells once of a peer that says for whom it asks and is not believed.

    Outside of what replaces the peer's address by the one that a trusted proxy names.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str], events: Events) -> None:
        self._app = app
        self._unix = UNIX_PEER in trusted
        self._trusted = [ip_network(one) for one in trusted if one != UNIX_PEER]
        self._events = events
        self._told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._told and scope["type"] == "http":
            self._look(scope)
        await self._app(scope, receive, send)

    def _look(self, scope: Scope) -> None:
        peer = scope["client"][0] if scope.get("client") else ""
        said = {value for name, value in scope["headers"] if name in _FORWARDED}
        if not peer or said <= {NOBODYS.encode()}:  # `doctor` says so, with no proxy on the way
            return
        if self._unix if peer == UNIX_PEER else any(ip_address(peer) in n for n in self._trusted):
            return
        self._told = True
        detail = (
            "If this is your proxy, name it in RELAY_TRUSTED_PROXIES: until then everybody shares "
            "its limits, and pages show its address."
        )
        self._events.tell("proxy_not_trusted", level=logging.WARNING, address=peer, detail=detail)
