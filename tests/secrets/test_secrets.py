"""Canaries in every secret field of every kind of login, and a search of what is left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.login import Login
from opencode_relay.stores import Store

from tests.secrets.serving import Remote, Serve, command, serve
from tests.threats.canaries import logged, readable
from tests.threats.world import (
    IDP,
    RETURN_URL,
    THERE,
    Opened,
    World,
    bearer,
    code_on,
    listening,
    loopback,
    new_verifier,
    until,
)

AUTHORIZATION_CODE = "canary-authorization+code/1"
DESCRIPTION = "canary error description: the person's account is closed"
SESSION = "canary-session-state"
FIRST_KEY, RING = "the first instance's key", "the relay's own keys"
HOMES = {"instance.key": FIRST_KEY, "keys.json": RING}  # where the documentation says they are

Canaries = dict[str, list[str]]


def search(canaries: Mapping[str, list[str]], files: Mapping[str, bytes]) -> list[str]:
    """Return which canary can be read where, but for the homes of the two that have one."""
    return [
        f"{kind} in {name}"
        for name, content in files.items()
        for kind, values in canaries.items()
        if HOMES.get(name) != kind and any(readable(value, content) for value in values)
    ]


async def carry(world: World) -> Canaries:
    """Carry logins of every kind to every end, rightly and wrongly; return all their secrets."""
    code = {"code": AUTHORIZATION_CODE, "session_state": SESSION}
    logins: list[Opened] = []
    typed: list[str] = []

    async def opened(**how: Any) -> Opened:
        logins.append(await world.open(**how))
        return logins[-1]

    allowed = await opened()
    page = await world.callback(allowed, **code)
    await world.press(page, code="0000-0000")
    await world.press(page, code=allowed.pairing_code, headers={"Origin": "null"})
    await world.press(page, code=allowed.pairing_code)
    await world.collect(allowed)
    await world.collect(allowed, verifier=new_verifier())
    await world.finish(allowed)
    denied = await opened()
    await world.press(await world.callback(denied, **code), "deny")
    await world.callback(denied, **code)
    for right in (True, False):
        completed = await opened(confirmation="completion_code")
        typed.append(code_on(await world.callback(completed, **code)))
        for _ in range(1 if right else 5):
            await world.complete(completed, "0000-0000")
        await world.complete(completed, typed[-1])
        await world.collect(completed)
    failed = await opened()
    await world.callback(failed, error="access_denied", error_description=DESCRIPTION)
    await world.collect(failed)
    redirected = await opened(delivery="redirect", return_url=RETURN_URL)
    await world.callback(redirected, **code)
    mixed_up = await opened(idp_issuer=IDP)
    await world.callback(mixed_up, **code, iss="https://evil.example")
    left_pending, held = await opened(), await opened(confirmation="completion_code")
    await world.callback(left_pending, **code)
    typed.append(code_on(await world.callback(held, **code)))
    await misplaced(world, left_pending)
    return {
        "an authorization code": [AUTHORIZATION_CODE],
        "an error_description": [DESCRIPTION],
        "another parameter": [SESSION],
        "a verifier": [login.verifier for login in logins],
        "a state": [login.state for login in logins],
        "a state's signature": [login.state.rpartition(".")[2] for login in logins],
        "a pairing code": [login.pairing_code for login in logins if login.pairing_code],
        "a completion code": typed,
        "a login's private key": [str(login.key.as_dict(private=True)["d"]) for login in logins],
        "an instance key": [world.instance_key],
    }


async def misplaced(world: World, login: Opened) -> None:
    """Secrets where they do not belong, and calls that end badly."""
    visitor, code = world.at(THERE), AUTHORIZATION_CODE
    query = {"state": login.state, "code": code, "verifier": login.verifier}
    for path in (
        "/auth/callback/",
        "/nothing",
        f"/v1/logins/{login.verifier}/response",
        "/v1/logins",
    ):
        await visitor.get(path, params=query)
        await visitor.head(path, params=query)
    await visitor.post("/auth/callback", params=query, data=query)
    await visitor.post("/auth/callback", content=b"\xff" + code.encode())
    await visitor.post("/auth/confirm", data={**query, "pairing_code": login.pairing_code})
    key = bearer(world.instance_key)
    for body in (query, {"collect_challenge": login.verifier}, [login.state], login.verifier):
        await visitor.post("/v1/logins", json=body, headers=key)
        await visitor.post(f"/v1/logins/{login.id}/completion", json=body, headers=key)
    await visitor.post("/v1/logins", content=code * 1000, headers=key)
    for wrong in (world.instance_key[:-1], f"{world.instance_key[:-1]}0", login.verifier):
        await visitor.post("/v1/logins", json={}, headers=bearer(wrong))
    url = f"/v1/logins/{login.id}/response"
    await visitor.get(url, params={"wait": login.verifier}, headers=bearer(login.verifier))
    await visitor.get("/auth/callback", params=query, headers={"Sec-Purpose": "prefetch"})


def unreadable_requests(url: str, canaries: Canaries) -> None:
    """Requests that no application sees: uvicorn itself refuses them."""
    address = (urlsplit(url).hostname, urlsplit(url).port)
    for secret in (AUTHORIZATION_CODE, canaries["a state"][0], canaries["a verifier"][0]):
        for request in (
            f"GET /auth/callback?code={secret} NONSENSE\r\n\r\n",
            f"{secret}\r\n\r\n",
            f"GET / HTTP/1.1\r\nAuthorization {secret}\r\n\r\n",
            f"POST /auth/callback HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\ncode={secret}",
        ):
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(request.encode())


@pytest.fixture(scope="module")
def left_behind(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Canaries, list[dict[str, bytes]]]:
    """All that a relay has written: while it ran, with its WAL, and after it ended."""
    with serve(tmp_path_factory.mktemp("serve")) as running:
        added = enrol(running)
        rotate(running)
        canaries = asyncio.run(visit(running, added))
        unreadable_requests(running.url, canaries)
        ring = json.loads((running.data / "keys.json").read_text())["keys"]
        pem = [line for key in ring for line in key["material"].splitlines() if "---" not in line]
        canaries |= {FIRST_KEY: [running.first_key()], RING: pem}
        while_it_runs = {**running.files(), "the output": running.output()}
        running.end()
        return canaries, [while_it_runs, {**running.files(), "the output": running.output()}]


def enrol(running: Serve) -> str:
    words = ("instances", "add", "house", "--return-url", RETURN_URL, "--json")
    asked = command(*words, "--data", running.data)
    key: str = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)["key"]
    return key


def rotate(running: Serve) -> None:
    asked = command("keys", "rotate", "--data", running.data)
    subprocess.run(asked, check=True, capture_output=True)


async def visit(running: Serve, key: str) -> Canaries:
    world = Remote(running.url, key)
    canaries = await carry(world)
    first = Remote(running.url, running.first_key())
    assert (await first.ask_to_open()).status_code == 201
    await world.close()
    await first.close()
    return canaries


class TestWhatARelayLeavesBehind:
    def test_no_secret_can_be_read_in_it(
        self, left_behind: tuple[Canaries, list[dict[str, bytes]]]
    ) -> None:
        canaries, moments = left_behind
        for files in moments:
            assert search(canaries, files) == []

    def test_there_was_something_to_search(
        self, left_behind: tuple[Canaries, list[dict[str, bytes]]]
    ) -> None:
        canaries, (while_it_ran, after) = left_behind
        assert {"relay.db", "relay.db-wal", "keys.json", "instance.key"} <= set(while_it_ran)
        assert {"relay.db", "keys.json", "instance.key"} <= set(after)
        assert all(values for values in canaries.values())
        events = [json.loads(line) for line in after["the output"].splitlines() if line[:1] == b"{"]
        assert {"debug", "info"} <= {event["level"] for event in events}
        assert {"opened", "callback", "released", "declined", "cancelled", "finished"} <= {
            event["event"] for event in events
        }
        # The sealed form may be there, and is: a search that finds nothing at all would be blind.
        held = while_it_ran["relay.db"] + while_it_ran["relay.db-wal"]
        assert b"eyJhbGciOiJFQ0RILUVTIi" in held
        assert readable(canaries[FIRST_KEY][0], after["instance.key"])
        assert readable(canaries[RING][0], after["keys.json"])

    @pytest.mark.parametrize(
        "written",
        [
            lambda secret: secret,
            lambda secret: quote(secret, safe=""),
            lambda secret: secret.encode().hex(),
            lambda secret: b64encode(f"x{secret}y".encode()).decode(),
            lambda secret: urlsafe_b64encode(f'{{"a":"{secret}"}}'.encode()).decode(),
        ],
        ids=["raw", "percent", "hex", "base64", "JWT"],
    )
    def test_a_planted_one_is_found(
        self, left_behind: tuple[Canaries, list[dict[str, bytes]]], written: Any
    ) -> None:
        canaries, (_, after) = left_behind
        for kind, values in canaries.items():
            planted = written(values[-1]).encode()
            for name in ("the output", "relay.db"):
                files = {**after, name: after[name] + b"\n" + planted + b"\n"}
                assert f"{kind} in {name}" in search(canaries, files)


class Failing:
    """A store that breaks, and says what it was asked in its error."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.says = ""

    async def get(self, login_id: str) -> Login | None:
        if self.says:
            raise RuntimeError(f"cannot handle {self.says}")
        return await self._store.get(login_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def log() -> Iterator[StringIO]:
    with logged() as text:
        yield text


async def test_an_internal_error_leaves_no_secret_in_log_or_answer(
    tmp_path: Path, log: StringIO
) -> None:
    listener, origin = loopback()
    store: list[Failing] = []

    def around(inner: Store) -> Store:
        store.append(Failing(inner))
        return store[0]

    world = World(tmp_path, around=around, public_url=origin)
    await world.start()
    login = await world.open()
    secret = login.verifier
    async with listening(world.app, listener), httpx.AsyncClient(base_url=origin) as client:
        store[0].says = secret
        query = {"state": login.state, "code": AUTHORIZATION_CODE}
        answers = [
            await client.get("/auth/callback", params=query),
            await client.get(f"/v1/logins/{login.id}/response", headers=bearer(secret)),
            await client.delete(f"/v1/logins/{login.id}", headers=bearer(secret)),
        ]
        await until(lambda: log.getvalue().count("RuntimeError") >= len(answers))
    await world.close()
    for answer in answers:
        assert answer.status_code == 503
        assert not readable(secret, answer.content)
    for canary in (secret, login.state, AUTHORIZATION_CODE):
        assert not readable(canary, log.getvalue())
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert any("get" in place for line in lines for place in line.get("where", []))


async def test_nothing_that_the_package_hands_around_shows_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repr of every value that the use cases take or return, and every exception's words."""
    world = World(tmp_path, address_limit=0)
    await world.start()
    shown: list[str] = []

    def watch(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        async def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                result = await real(*args, **kwargs)
            except Exception as wrong:
                shown.extend([repr(wrong), str(wrong), repr(vars(wrong))])
                raise
            # A state and a body come as they are; what is made of them must not show them.
            shown.extend(repr(value) for value in args if not isinstance(value, (str, bytes, dict)))
            shown.append(repr(result))
            return result

        monkeypatch.setattr(owner, name, watched)

    for name in ("open", "receive", "confirm", "complete", "collect", "finish"):
        watch(world.relay, name)
    for name in ("create", "get", "apply", "add_instance", "get_instance"):
        watch(world.store, name)
    watch(world.relay.admission, "admit")
    canaries = await carry(world)
    ring = Ring.fresh(0)
    secrets = [key.material for key in ring.keys]
    shown += [repr(ring), repr(world.relay.keys), repr(Key.new(Purpose.STATE, 0))]
    canaries[RING] = [line for text in secrets for line in text.splitlines() if "---" not in line]
    assert len(shown) > 100
    assert search(canaries, {"what was shown": "\n".join(shown).encode()}) == []
    await world.close()
