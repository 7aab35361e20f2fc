"""The one app: the same routes on one machine and on AWS."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opencode_relay.errors import Refused, StoreUnavailable
from opencode_relay.relay import Relay

from .api import API
from .headers import EVERYWHERE, hsts
from .problems import problem, unavailable
from .requests import fetched_early

if TYPE_CHECKING:
    from .browser import Browser

FORESEEN = (Refused, HTTPException, ClientDisconnect, StoreUnavailable)


class Answers:
    """Turns what any path may meet into a page for browsers and a problem for everybody else."""

    def __init__(self, relay: Relay, browser: Browser | None) -> None:
        self._issuer = relay.issuer
        self._events = relay.events
        self._browser = browser

    def answer(
        self, request: Request, refused: Refused, headers: dict[str, str] | None = None
    ) -> Response:
        path, accepts = request.url.path, request.headers.get("accept", "")
        wanted = path.startswith("/auth/") or ("text/html" in accepts and not _is_api(path))
        if self._browser and wanted:
            return self._browser.anywhere(refused, headers or {})
        if refused.code == "prefetch":
            refused = unavailable("The request says that it is a prefetch or a preview.")
        return problem(self._issuer, refused, headers)

    def to(self, request: Request, wrong: Exception) -> Response:
        """Answer whatever went wrong."""
        if isinstance(wrong, Refused):  # the API's: the browser's routes answer theirs themselves
            return problem(self._issuer, wrong)
        if isinstance(wrong, HTTPException):
            code = "method-not-allowed" if wrong.status_code == 405 else "not-found"  # noqa: PLR2004
            return self.answer(request, Refused(code), dict(wrong.headers or {}))
        if isinstance(wrong, ClientDisconnect):  # nobody hears this
            return Response(status_code=400)
        if isinstance(wrong, StoreUnavailable):
            self._events.tell("store_unavailable", level=logging.ERROR, detail=str(wrong))
        return self.answer(request, unavailable())

    def tell(self, wrong: Exception) -> None:
        """Say of a fault that nobody foresaw where it is: here, for not every home says it."""
        if not isinstance(wrong, FORESEEN):
            self._events.tell("unhandled_exception", level=logging.ERROR, wrong=wrong)


def _is_api(path: str) -> bool:
    return path.startswith(("/v1/", "/.well-known/", "/oauth/", "/healthz"))


class Guard:
    """Around everything: prefetches touch no login, no answer lacks its headers, all are answers.

    It stands for Starlette's application and its layers of middleware, whose frames each of
    thousands who wait would keep.
    """

    def __init__(self, app: ASGIApp, answers: Answers, headers: dict[str, str]) -> None:
        self._app = app
        self._answers = answers
        self._headers = [(name.lower().encode(), one.encode()) for name, one in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                sent = message["headers"]
                names = {name for name, _ in sent}
                message["headers"] = [*sent, *(one for one in self._headers if one[0] not in names)]
            await send(message)

        scope["app"] = self  # or the router would answer 404 and 405 itself
        try:
            app = self._app
            if fetched_early(scope["headers"]):
                app = self._answers.answer(Request(scope), Refused("prefetch"))
            await app(scope, receive, send_with_headers)
        except Exception as wrong:
            self._answers.tell(wrong)
            if begun:  # the connection ends with half an answer
                raise
            answer = self._answers.to(Request(scope), wrong)
            await answer(scope, receive, send_with_headers)


class Endpoint:
    """A route's function as an ASGI app; Starlette's own way adds frames of its own."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)


def make_app(relay: Relay) -> ASGIApp:
    """Build the whole app of a relay."""
    browser, api = _browser(relay), API(relay)
    routes = [*browser.routes(), *api.login_routes(), *api.public_routes()]
    return _make(relay, routes, browser)


def make_browser_app(relay: Relay) -> ASGIApp:
    """Build the part of the app in which nobody waits: pages, and what anybody may read."""
    browser, api = _browser(relay), API(relay)
    # Known by their paths alone: what API Gateway sends here is a method that they do not take.
    paths = [
        Route(one.path, _not_here, methods=list(one.methods or ())) for one in api.login_routes()
    ]
    return _make(relay, [*api.public_routes(), *paths, *browser.routes()], browser)


def make_login_app(relay: Relay) -> ASGIApp:
    """Build the part of the app that instances call for their logins; it has no pages."""
    return _make(relay, API(relay).login_routes(), None)


async def _not_here(_: Request) -> Response:
    raise HTTPException(404)


def _browser(relay: Relay) -> Browser:
    # Imported here: the functions that serve instances alone need no templates at their start.
    import opencode_relay.response  # noqa: F401, PLC0415  # at the start, not at the first callback

    from .browser import Browser  # noqa: PLC0415

    return Browser(relay)


def _make(relay: Relay, routes: list[Route], browser: Browser | None) -> ASGIApp:
    for route in routes:
        # Starlette adds HEAD to GET, and a HEAD of a mail scanner would act like the person's GET.
        route.methods = set(route.methods or ()) - {"HEAD"}
        route.app = Endpoint(route.endpoint)
    # Starlette's redirect of slashes would go to whatever Host says.
    router = Router(routes, redirect_slashes=False)
    https = relay.issuer.startswith("https://")
    headers = EVERYWHERE | (hsts(relay.settings.hsts_max_age) if https else {})
    return Guard(router, Answers(relay, browser), headers)
