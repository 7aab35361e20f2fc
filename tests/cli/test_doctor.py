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

import pytest
from opencode_relay.cli.doctor.checks import Check, carry_out
from opencode_relay.cli.doctor.origins import judge
from opencode_relay.cli.doctor.relay import NEEDED, Examination
from opencode_relay.cli.doctor.web import asking
from opencode_relay.cli.loopback import Loopback
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.machine.proxies import behind
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


def _relay(
    data: Path, enrolment: str = "open", trusted: str = "", wait: int = 1
) -> Callable[[str], ASGIApp]:
    def make(url: str) -> ASGIApp:
        ring = Ring.fresh(0)
        environ = {"RELAY_MAX_WAIT": f"{wait}", "RELAY_TRUSTED_PROXIES": trusted}
        settings = Settings.load(environ, public_url=url, data=str(data), enrolment=enrolment)
        relay = Relay(settings, SQLiteStore(data), Keys(lambda: ring))
        return behind(settings.trusted_proxies, make_app(relay), relay.events)

    return make


def _findings(make: Callable[[str], ASGIApp]) -> dict[str, tuple[bool | None, str]]:
    with Loopback(make) as url, asking() as web:
        found = list(carry_out(Examination(web, url).checks(), needed=NEEDED))
    return {finding.check: (finding.ok, finding.seen) for finding in found}


def test_a_good_relay(tmp_path: Path) -> None:
    found = _findings(_relay(tmp_path))
    assert {ok for ok, _ in found.values()} == {True}
    assert found["a held question"][1] == "held for 1 s"
    assert len(found) == 11


def test_without_a_key_the_login_is_not_tried(tmp_path: Path) -> None:
    ok, seen = _findings(_relay(tmp_path, "closed"))["a whole login"]
    assert ok is None
    assert "--key-file" in seen


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
        ("Origin of a form", "/auth/confirm", _status(502), "answers 502"),
        ("a held question", "/v1/logins/", _status(504), "cut (status 504)"),
        ("a held question", "/v1/logins/", _body(b"pending", b"seen it"), "cut (status 202)"),
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
        others = {ok for name, (ok, _) in found.items() if name not in {"reachable", "certificate"}}
        assert others == {None}
    else:
        for needs_it in ("a whole login", "callers' addresses", "a held question"):
            found.pop(needs_it, None)
        assert {other for other, _ in found.values()} == {True}


@pytest.mark.parametrize(("ours", "words"), [(300, "s behind"), (-300, "s ahead of")])
def test_a_clock_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: int, words: str
) -> None:
    other = SimpleNamespace(time=lambda: time.time() + ours)
    monkeypatch.setattr("opencode_relay.cli.doctor.relay.time", other)
    ok, seen = _findings(_relay(tmp_path))["clock"]
    assert ok is False
    assert f"{words} this machine's" in seen


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


class Rewritten:
    """The real relay behind something that changes what it is asked."""

    def __init__(self, app: ASGIApp, name: bytes, value: bytes | None) -> None:
        self._app = app
        self._name = name
        self._value = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = scope.get("headers", [])
        kept = [one for one in sent if one[0] != self._name]
        if self._value is not None and len(kept) < len(sent):
            kept.append((self._name, self._value))
        await self._app({**scope, "headers": kept}, receive, send)


def test_an_origin_that_does_not_arrive(tmp_path: Path) -> None:
    good = _relay(tmp_path)
    ok, seen = _findings(lambda url: Rewritten(good(url), b"origin", None))["Origin of a form"]
    assert ok is False
    assert "takes Origin away" in seen


def test_an_origin_that_is_always_the_relays_own(tmp_path: Path) -> None:
    good = _relay(tmp_path)
    found = _findings(lambda url: Rewritten(good(url), b"origin", url.encode()))
    ok, seen = found["Origin of a form"]
    assert ok is False
    assert "another site" in seen


def test_a_forwarded_address_that_anybody_may_choose(tmp_path: Path) -> None:
    ok, seen = _findings(_relay(tmp_path, trusted="127.0.0.1/32"))["callers' addresses"]
    assert ok is False
    assert "any caller" in seen


@pytest.mark.parametrize(
    ("shown", "here", "there", "ok", "words"),
    [
        ("192.0.2.99", "198.51.100.1", "1.1.1.1", False, "any caller"),
        ("unknown", "198.51.100.1", "1.1.1.1", False, "RELAY_TRUSTED_PROXIES"),
        ("127.0.0.1", "10.0.0.5", "1.1.1.1", False, "RELAY_TRUSTED_PROXIES"),
        ("1.1.1.1", "10.0.0.5", "1.1.1.1", False, "RELAY_TRUSTED_PROXIES"),
        ("172.17.0.1", "10.0.0.5", "1.1.1.1", None, "elsewhere"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", None, "elsewhere"),
        ("10.0.0.5", "10.0.0.5", "10.0.0.9", True, "this machine's own"),
        ("8.8.8.8", "10.0.0.5", "1.1.1.1", True, "8.8.8.8"),
    ],
)
def test_what_a_callers_address_tells(
    shown: str, here: str, there: str, ok: bool | None, words: str
) -> None:
    check = Check("address", lambda: judge(shown, here=here, there=there, https=True))
    (found,) = carry_out([check], needed=0)
    assert found.ok is ok
    assert words in found.seen


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
    refused = gone.stdout.splitlines()[0]
    assert refused.startswith("✗ reachable")
    assert "Connection refused" in refused


def test_what_was_not_tried_is_not_called_well(tmp_path: Path) -> None:
    with Loopback(_relay(tmp_path, "closed")) as url:
        some, as_json = _run(url), _run(url, "--json")
    assert some.returncode == as_json.returncode == 3
    assert "not everything could be tried" in some.stdout
    assert json.loads(as_json.stdout)["ok"] is None


def test_plain_http_goes_through_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(_relay(tmp_path)) as url:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        assert _run(url).returncode == 0
        one = json.loads(_run("--instance", url, "--json").stdout)["checks"][2]
    assert one["seen"].startswith("This is a relay, not an opencode")


def test_a_certificate_that_does_not_hold(tmp_path: Path) -> None:
    """A server that speaks no TLS at all is the plainest case."""
    with Loopback(_relay(tmp_path)) as url:
        gone = _run(url.replace("http://", "https://"), "--json")
    told = json.loads(gone.stdout)
    assert told["checks"][0]["ok"] is True
    assert told["checks"][1]["check"] == "certificate"
    assert "TLS fails: wrong version number" in told["checks"][1]["seen"]
    assert {one["ok"] for one in told["checks"][2:]} == {None}
