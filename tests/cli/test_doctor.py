"""`opencode-relay doctor`: what it finds on a good relay, and on ones that something has spoilt."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from opencode_relay.cli.doctor import Examination
from opencode_relay.cli.loopback import Loopback
from opencode_relay.client import Client
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Spoiled:
    """The real relay behind something that changes its answers."""

    def __init__(self, app: ASGIApp, path: str, spoil: Callable[[Message], None]) -> None:
        self._app = app
        self._path = path
        self._spoil = spoil

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def changed(message: Message) -> None:
            if scope["path"].startswith(self._path):
                self._spoil(message)
            await send(message)

        await self._app(scope, receive, changed)


def _relay(data: Path, enrolment: str = "open") -> Callable[[str], ASGIApp]:
    def make(url: str) -> ASGIApp:
        ring = Ring.fresh(0)
        settings = Settings.load({}, public_url=url, data=str(data), enrolment=enrolment)
        return make_app(Relay(settings, SQLiteStore(data), Keys(lambda: ring)))

    return make


def _findings(make: Callable[[str], ASGIApp]) -> dict[str, tuple[bool | None, str]]:
    with Loopback(make) as url, Client(url) as client, httpx.Client() as web:
        found = Examination(client, web, url, has_key=False).findings()
    return {finding.check: (finding.ok, finding.seen) for finding in found}


def test_a_good_relay(tmp_path: Path) -> None:
    found = _findings(_relay(tmp_path))
    assert {ok for ok, _ in found.values()} == {True}
    assert len(found) == 7


def test_without_a_key_the_login_is_not_tried(tmp_path: Path) -> None:
    ok, seen = _findings(_relay(tmp_path, "closed"))["a whole login"]
    assert ok is None
    assert "--key" in seen


def _set(name: str, value: str) -> Callable[[Message], None]:
    def spoil(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[name] = value

    return spoil


def _status(status: int) -> Callable[[Message], None]:
    def spoil(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["status"] = status

    return spoil


def _body(old: bytes, new: bytes) -> Callable[[Message], None]:
    def spoil(message: Message) -> None:
        if message["type"] == "http.response.body":
            assert len(old) == len(new)
            message["body"] = message["body"].replace(old, new)

    return spoil


@pytest.mark.parametrize(
    ("check", "path", "spoil", "word"),
    [
        ("headers of its pages", "/auth", _set("content-security-policy", "x"), "security"),
        ("headers of its pages", "/auth", _set("cache-control", "public"), "cache-control"),
        ("store and keys", "/healthz", _status(503), "store or the keys"),
        ("signing keys", "/.well-known/jwks", _body(b"ES256", b"RS256"), "ES256"),
        ("signing keys", "/.well-known/jwks", _body(b"{", b"["), "JSONDecodeError"),
        ("a whole login", "/auth", _body(b"<code", b"<cod3"), "no completion code"),
        ("a whole login", "/v1/logins/", _status(500), "500"),
        (
            "answers as a relay",
            "/.well-known/opencode",
            _body(b'l":1,', b'l":9,'),
            "9",
        ),
        ("answers as a relay", "/.well-known/opencode", _status(404), "404"),
    ],
)
def test_what_is_spoilt_is_found_and_named(
    tmp_path: Path, check: str, path: str, spoil: Callable[[Message], None], word: str
) -> None:
    good = _relay(tmp_path)
    found = _findings(lambda url: Spoiled(good(url), path, spoil))
    ok, seen = found.pop(check)
    assert ok is False
    assert word in seen
    if check == "answers as a relay":
        assert all(other is None for name, (other, _) in found.items() if name != "certificate")
    else:
        found.pop("a whole login", None)  # it may well need what is spoilt
        assert {other for other, _ in found.values()} == {True}


def test_a_clock_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = SimpleNamespace(time=lambda: time.time() + 300)
    monkeypatch.setattr("opencode_relay.cli.doctor.time", fast)
    ok, seen = _findings(_relay(tmp_path))["clock"]
    assert ok is False
    assert "differs" in seen


def test_a_login_that_is_not_erased_is_found(tmp_path: Path) -> None:
    class NoDelete:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] == "DELETE":
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            await self._app(scope, receive, send)

    good = _relay(tmp_path)
    ok, seen = _findings(lambda url: NoDelete(good(url)))["a whole login"]
    assert ok is False
    assert "still there" in seen


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opencode_relay.cli", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_it_in_words_and_by_its_status(tmp_path: Path) -> None:
    with Loopback(_relay(tmp_path)) as url:
        well, as_json = _run(url), _run(url, "--json")
    assert well.returncode == 0
    assert "All is well." in well.stdout
    told: dict[str, Any] = json.loads(as_json.stdout)
    assert told["ok"] is True
    gone = _run(url)
    assert gone.returncode == 1
    assert "Something has to be mended" in gone.stdout
    assert "Traceback" not in gone.stderr


def test_plain_http_goes_through_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(_relay(tmp_path)) as url:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        assert _run(url).returncode == 0
        routed = json.loads(_run("--instance", url, "--json").stdout)["checks"][1]
    assert routed["seen"].startswith("It reaches something else (status 404)")


def test_a_certificate_that_does_not_hold(tmp_path: Path) -> None:
    """A server that speaks no TLS at all is the plainest case."""
    with Loopback(_relay(tmp_path)) as url:
        gone = _run(url.replace("http://", "https://"), "--json")
    told = json.loads(gone.stdout)
    assert told["checks"][0]["check"] == "certificate"
    assert "TLS fails" in told["checks"][0]["seen"]
    assert {one["ok"] for one in told["checks"][1:]} == {None}
