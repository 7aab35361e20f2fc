"""What goes through a proxy, and what must not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from opencode_relay.cli.loopback import Loopback
from opencode_relay.client import AsyncClient, Client, ClientError, Unreachable
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from .stub import DISCOVERY, ISSUER


@contextlib.contextmanager
def listening(seen: list[bytes]) -> Iterator[str]:
    """Listen for one connection, note how it begins, and close it."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def relay(url: str) -> ASGIApp:
    return JSONResponse(json.loads(json.dumps(DISCOVERY).replace(ISSUER, url)))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def asynchronous(url: str) -> str:
        async with AsyncClient(url) as client:
            return str((await client.discover())["issuer"])

    seen: list[bytes] = []
    with listening(seen) as proxy, Loopback(relay) as url:
        monkeypatch.setenv(name, f"http://{proxy}")
        with Client(url) as client:
            assert client.discover()["issuer"] == url
        assert asyncio.run(asynchronous(url)) == url
    assert seen == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5h://127.0.0.1:1"),
        ("HTTP_PROXY", "ftp://127.0.0.1:1"),
        ("NO_PROXY", "[::1"),
    ],
)
def test_an_environment_that_cannot_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    for kind in (Client, AsyncClient):
        with pytest.raises(ClientError, match=name):
            kind("http://127.0.0.1:1")


def test_https_goes_through_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    with listening(seen) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        with Client("https://relay.invalid") as client, pytest.raises(Unreachable):
            client.discover()
    assert seen[0].startswith(b"CONNECT relay.invalid:443 ")


def test_https_keeps_to_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied: list[bytes] = []
    asked: list[bytes] = []
    with listening(proxied) as proxy, listening(asked) as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with Client(f"https://{address}") as client, pytest.raises(Unreachable):
            client.discover()
    assert proxied == []
    assert asked[0].startswith(b"\x16\x03")  # a TLS handshake
