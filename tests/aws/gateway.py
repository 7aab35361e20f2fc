"""The stack's own API in process: its routes to its functions, each with its own environment."""

import asyncio
import importlib.util
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.aws.template import ROOT, Stack

Handler = Callable[[dict[str, Any], object], Any]


def entry_point(stack: Stack, name: str) -> Handler:
    """Load a function's handler anew, as a fresh process would."""
    function = stack.function(name)
    module, _, handler = function["Handler"].partition(".")
    spec = importlib.util.spec_from_file_location(
        f"{name}.{module}", ROOT / function["CodeUri"] / f"{module}.py"
    )
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    found: Handler = getattr(loaded, handler)
    return found


class Gateway(httpx.BaseTransport):
    """API Gateway for httpx: payload format 2.0, forms in base64, one request at a time.

    The functions run in a thread of their own, whose event loop they may replace.
    """

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        self._routes = stack.routes()
        self._handlers: dict[str, Handler] = {}
        first = asyncio.new_event_loop()
        self._loops = {first}
        self._thread = ThreadPoolExecutor(1, initializer=lambda: asyncio.set_event_loop(first))
        for name in sorted(set(self._routes.values())):
            with monkeypatch.context() as environment:
                for key, value in stack.environment(name).items():
                    environment.setenv(key, value)
                self._handlers[name] = self._thread.submit(entry_point, stack, name).result()
            self._loops.add(self._thread.submit(asyncio.get_event_loop).result())
        self.met: set[str] = set()  # routes that were taken
        self.running = ""  # the function that runs now

    def close(self) -> None:
        for loop in self._loops:
            ended = loop.shutdown_default_executor()
            self._thread.submit(loop.run_until_complete, ended).result()
            loop.close()
        self._thread.shutdown()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.path)
        route = self._route(request.method, path)
        self.met.add(route)
        self.running = self._routes[route]
        try:
            handler = self._handlers[self.running]
            answer = self._thread.submit(handler, _event(request, route, path), None).result()
        finally:
            self.running = ""
        body = answer["body"]
        content = b64decode(body) if answer["isBase64Encoded"] else body.encode()
        return httpx.Response(answer["statusCode"], headers=answer["headers"], content=content)

    def _route(self, method: str, path: str) -> str:
        for key in self._routes:
            wanted, _, pattern = key.partition(" ")
            parts = list(zip(pattern.split("/"), path.split("/"), strict=False))
            same = all(one == other or (one[:1] == "{" and other) for one, other in parts)
            if wanted == method and pattern.count("/") == path.count("/") and same:
                return key
        return "$default"


def _event(request: httpx.Request, route: str, path: str) -> dict[str, Any]:
    body = request.read()
    form = "form" in request.headers.get("content-type", "")
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": request.url.query.decode(),
        "headers": dict(request.headers),
        "requestContext": {
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": "r",
            "routeKey": route,
            "stage": "$default",
        },
        **({"body": (b64encode(body) if form else body).decode()} if body else {}),
        "isBase64Encoded": form,
    }


def json_of(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return json.loads(answer.text) if answer.text else None
