"""`opencode-relay catch`: what it passes on, and what it leaves alone."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest
from opencode_relay.cli import catch
from opencode_relay.errors import ConfigError
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.keys.state import make

RELAY = "https://relay.example.com"
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
COMMAND = [sys.executable, "-m", "opencode_relay.cli", "catch"]


def _state(issuer: str = RELAY, purpose: Purpose = Purpose.STATE) -> str:
    ring = Ring.fresh(0)
    return make(Keys(lambda: ring), purpose, issuer, "a-login", 1, 601)


@pytest.fixture
def catcher() -> catch.Catcher:
    return catch.Catcher(RELAY)


@pytest.fixture
async def browser(catcher: catch.Catcher) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(catcher.app)
    base = f"http://localhost:{catch.PORT}"
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=NAVIGATION) as made:
        yield made


async def test_catch_sends_the_browser_on_with_the_same_query(browser: httpx.AsyncClient) -> None:
    query = f"code=a%2Fb%20c&scope=x+y&state={_state()}&iss=https%3A%2F%2Fidp.example.com"
    answer = await browser.get(f"{catch.PATH}?{query}")
    assert answer.status_code == 200
    refresh = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
    assert refresh
    assert unescape(refresh[1]) == f"{RELAY}/auth/callback?{query}"
    assert "script" not in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "state",
    [
        "",
        "0123456789abcdef",  # codex, opencode's own login
        _state("https://evil.example"),  # another relay
        _state(purpose=Purpose.CONFIRM),  # a token of the relay that is no state
        "eyJhbGciOiJIUzI1NiJ9." + _state().partition(".")[2],  # another tool's JWT
        catch.STATE_BEGINS,
        catch.STATE_BEGINS + ".e30.",
        catch.STATE_BEGINS + ".W10.",
        catch.STATE_BEGINS + ".!!!!.",
    ],
)
async def test_catch_leaves_other_states_alone(browser: httpx.AsyncClient, state: str) -> None:
    answer = await browser.get(catch.PATH, params={"code": "x", "state": state})
    assert answer.status_code == 404
    assert "refresh" not in answer.text


async def test_catch_takes_no_doubled_state(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(f"{catch.PATH}?state={_state()}&state={_state()}&code=x")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-purpose": "prefetch;prerender"},
        {"x-purpose": "preview"},
        {"host": "evil.example"},  # a name rebound to this machine
        {"host": "localhost:80"},
    ],
)
async def test_catch_answers_only_top_level_navigations_to_this_machine(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await browser.get(catch.PATH, params={"state": _state()}, headers=headers)
    assert answer.status_code == 403


async def test_catch_needs_both_fetch_headers_or_none(catcher: catch.Catcher) -> None:
    transport = httpx.ASGITransport(catcher.app)
    base = f"http://[::1]:{catch.PORT}"
    async with httpx.AsyncClient(transport=transport, base_url=base) as old:
        asked = {"state": _state(), "code": "x"}
        assert (await old.get(catch.PATH, params=asked)).status_code == 200
        half = {"sec-fetch-mode": "navigate"}
        assert (await old.get(catch.PATH, params=asked, headers=half)).status_code == 403


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
async def test_catch_answers_only_get(browser: httpx.AsyncClient, method: str) -> None:
    answer = await browser.request(method, catch.PATH, params={"state": _state()})
    assert answer.status_code == 405


@pytest.mark.parametrize("path", ["/", "/auth/callback/", "/auth/done"])
async def test_catch_answers_only_its_path(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path, params={"state": _state()})).status_code == 404


class Naps:
    """Stands for `asyncio.timeout`: each ends when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._running: list[asyncio.Timeout] = []
        self._timeout = asyncio.timeout

    def __call__(self, seconds: float) -> asyncio.Timeout:
        self.asked.append(seconds)
        self._running.append(self._timeout(None))
        return self._running[-1]

    def end(self) -> None:
        self._running[-1].reschedule(0)


async def pass_on(passed_on: asyncio.Event) -> None:
    passed_on.set()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_forged_answer_does_not_use_the_catcher_up(monkeypatch: pytest.MonkeyPatch) -> None:
    naps, passed_on = Naps(), asyncio.Event()
    monkeypatch.setattr(asyncio, "timeout", naps)
    using = asyncio.create_task(catch.used(passed_on))
    await pass_on(passed_on)
    assert naps.asked == [catch.LIFETIME]
    await pass_on(passed_on)
    await pass_on(passed_on)  # the minute begins anew
    assert naps.asked == [catch.LIFETIME, catch.LINGER, catch.LINGER]
    assert not using.done()
    naps.end()
    await using


async def test_without_a_second_answer_it_ends_with_the_logins_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    naps, passed_on = Naps(), asyncio.Event()
    monkeypatch.setattr(asyncio, "timeout", naps)
    using = asyncio.create_task(catch.used(passed_on))
    await pass_on(passed_on)
    naps.end()
    await using
    assert naps.asked == [catch.LIFETIME]


async def test_catch_once_ends_its_server(
    monkeypatch: pytest.MonkeyPatch, catcher: catch.Catcher
) -> None:
    over = asyncio.Event()

    async def used(passed_on: asyncio.Event) -> None:
        await passed_on.wait()
        await over.wait()

    monkeypatch.setattr(catch, "used", used)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    monkeypatch.setattr(catch, "_HOSTS", {f"127.0.0.1:{port}"})
    serving = asyncio.create_task(catch._serve(catcher, [listener], once=True))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as browser:
        for _ in range(2):
            answer = await browser.get(catch.PATH, params={"state": _state(), "code": "x"})
            assert answer.status_code == 200
        assert not serving.done()
    over.set()
    await serving
    listener.close()


def test_catch_the_command_says_what_it_did_and_never_the_code() -> None:
    with subprocess.Popen(
        [*COMMAND, "--relay", RELAY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        assert RELAY in running.stdout.readline()
        running.stdout.readline()
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{catch.PORT}{catch.PATH}"
            asked = {"state": _state(), "code": "canary-code"}
            for _ in range(50):
                try:
                    answer = httpx.get(url, params=asked)
                    break
                except httpx.ConnectError:
                    continue
            assert answer.status_code == 200
        taken = subprocess.run(
            [*COMMAND, "--relay", RELAY], capture_output=True, text=True, check=False
        )
        running.send_signal(signal.SIGINT)
        told = running.stdout.read()
        assert running.wait() in {0, -signal.SIGINT}
    assert "Passed on" in told
    assert "canary" not in told
    assert "eyJ" not in told
    assert "Traceback" not in told
    assert taken.returncode == 1
    assert "Another sign-in may be waiting there" in taken.stderr


@pytest.mark.parametrize("relay", ["http://relay.example.com", f"{RELAY}/", "https://a@b.c"])
def test_catch_goes_only_to_a_relay(relay: str) -> None:
    with pytest.raises(ConfigError):
        catch.catch(relay)
