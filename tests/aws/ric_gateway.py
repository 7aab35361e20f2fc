"""API Gateway (HTTP API, payload format 2.0) as an httpx transport in front of the functions."""

import asyncio
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from tests.aws.ric import LIMIT, Environment, FunctionFailed
from tests.aws.template import Stack, load

MAX_HEAD = 10_240  # bytes of request line and headers together (HTTP API quotas)
REQUEST_ID = "JKJaXmPLvHcESHA="
_PLAIN = ("text/", "application/json", "application/javascript", "application/xml")
Invoke = Callable[[dict[str, Any], float], Any]


class Functions:
    """The stack's functions with their environments; each starts when it is first needed."""

    def __init__(self, artifact: Path, logs: Path, variables: dict[str, str]) -> None:
        self.stack = Stack(load())
        self.routes = self.stack.routes()
        self.running: dict[str, Environment] = {}
        self._artifact = artifact
        self._logs = logs
        self._variables = variables

    def start(self, name: str, *, snapshot: bool = False, **variables: str) -> Environment:
        """Start another environment of a function, named by its logical id."""
        function = self.stack.function(name)
        # As Lambda sets them.
        logs = {
            "AWS_LAMBDA_LOG_FORMAT": function["LoggingConfig"]["LogFormat"],
            "AWS_LAMBDA_LOG_LEVEL": function["LoggingConfig"].get("ApplicationLogLevel", "INFO"),
        }
        environment = {**self.stack.environment(name), **logs, **self._variables, **variables}
        log = self._logs / f"{name}-{time.monotonic_ns()}.log"
        handler = function["Handler"]
        return Environment(self._artifact, handler, environment, log, snapshot=snapshot)

    def invoke(self, name: str, event: dict[str, Any], limit: float) -> Any:
        if name not in self.running:
            self.running[name] = self.start(name)
        return self.running[name].invoke(event, limit)

    def stop(self) -> None:
        while self.running:
            self.running.popitem()[1].close()

    def route(self, method: str, path: str) -> str:
        for key in self.routes:
            wanted, _, pattern = key.partition(" ")
            if wanted == method and _fits(pattern.split("/"), path.split("/")):
                return key
        return "$default"


def _fits(pattern: list[str], path: list[str]) -> bool:
    return len(pattern) == len(path) and all(
        one == other or (one[:1] == "{" and other != "")
        for one, other in zip(pattern, path, strict=True)
    )


class Gateway(httpx.AsyncBaseTransport):
    """What stands between a client at an address and the functions."""

    def __init__(
        self, functions: Functions, address: str = "203.0.113.7", limit: float = LIMIT
    ) -> None:
        self._functions = functions
        self._address = address
        self._limit = limit
        self.failures: list[str] = []  # what functions told of their ends

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        head = len(request.method) + len(request.url.raw_path) + len(" HTTP/1.1\r\n ")
        if head + sum(len(n) + len(v) + 4 for n, v in request.headers.raw) > MAX_HEAD:
            return _own(431, "Request Header Fields Too Large")
        path = unquote(request.url.raw_path.partition(b"?")[0].decode("ascii"))
        route = self._functions.route(request.method, path)
        event = to_event(request, await request.aread(), route, path, self._address)
        try:
            answer = await asyncio.to_thread(
                self._functions.invoke, self._functions.routes[route], event, self._limit
            )
        except FunctionFailed as failed:
            self.failures.append(str(failed))
            if str(failed).startswith("no answer"):
                return _own(503, "Service Unavailable")
            return _own(500, "Internal Server Error")
        return to_response(request, answer)


def to_event(
    request: httpx.Request, body: bytes, route: str, path: str, address: str
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for raw, given in request.headers.raw:
        name, value = raw.decode("ascii").lower(), given.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    cookies = headers.pop("cookie", "")
    headers |= {"x-forwarded-for": address, "x-forwarded-port": "443", "x-forwarded-proto": "https"}
    plain = headers.get("content-type", "").startswith(_PLAIN)
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": request.url.query.decode("ascii"),
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": headers["host"],
            "domainPrefix": headers["host"].partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": address,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": REQUEST_ID,
            "routeKey": route,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": bool(body) and not plain,
    }
    if cookies:
        event["cookies"] = cookies.split("; ")
    if body:
        event["body"] = body.decode(errors="replace") if plain else b64encode(body).decode()
    return event


def to_response(request: httpx.Request, answer: dict[str, Any]) -> httpx.Response:
    body = answer.get("body", "")
    content = b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = httpx.Headers(answer.get("headers", {}))
    cookies = [("set-cookie", cookie) for cookie in answer.get("cookies", [])]
    headers["content-length"] = str(len(content))
    if request.method == "HEAD":
        content = b""
    return httpx.Response(
        answer["statusCode"], headers=[*headers.multi_items(), *cookies], content=content
    )


def _own(status: int, message: str) -> httpx.Response:
    """What API Gateway answers by itself."""
    return httpx.Response(status, content=json.dumps({"message": message}))
