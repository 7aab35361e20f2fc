"""What costs its sender nothing but a connection, over real sockets."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from opencode_relay.machine import server

from tests.threats.conftest import Make
from tests.threats.world import World, bearer, listening, loopback, until

SHORT = 0.5  # seconds instead of DEADLINE
PATIENCE = 5  # seconds until a connection counts as one that stays


@pytest.fixture
async def port(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(server, "DEADLINE", SHORT)
    listener, _ = loopback()
    async with listening(world.app, listener):
        yield listener.getsockname()[1]


async def ended(port: int, begins: bytes, goes_on: bytes = b"") -> bool:
    """Begin a request and never end it; whether the relay ended the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begins)
    reading = asyncio.create_task(reader.read())
    for _ in range(PATIENCE * 20):
        if not reading.done():
            writer.write(goes_on)
            await asyncio.wait({reading}, timeout=0.05)
    writer.transport.abort()
    over = reading.done()
    await asyncio.wait({reading})
    reading.exception()
    return over


class TestPlacesHeldByConnectionsThatSendNothing:
    """Ours, also behind Caddy: each is an open file, and without one nobody is served."""

    async def test_silence_ends(self, port: int) -> None:
        assert await ended(port, b"")

    async def test_blank_lines_are_silence(self, port: int) -> None:
        for before in (b"", b"GET /healthz HTTP/1.1\r\n\r\n"):
            assert await ended(port, before, b"\r\n")

    async def test_a_head_without_end_ends(self, port: int) -> None:
        assert await ended(port, b"GET /healthz HTTP/1.1\r\n", b"X: y\r\n")

    @pytest.mark.parametrize("path", [b"/auth/callback", b"/v1/logins"])
    async def test_a_body_without_end_ends(self, port: int, path: bytes) -> None:
        """Also one that nobody reads, for the answer is 401 already."""
        head = b"POST %b HTTP/1.1\r\nContent-Length: 8000\r\n" % path
        form = b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        assert await ended(port, head + form, b"x")

    async def test_who_waits_is_served(self, world: World, port: int) -> None:
        login = await world.open()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as instance:
            path = f"/v1/logins/{login.id}/response?wait=20"
            waiting = asyncio.create_task(instance.get(path, headers=bearer(login.verifier)))
            await until(lambda: len(world.relay.bells) == 1)
            await ended(port, b"")
            assert not waiting.done()
            await world.press(await world.callback(login), code=login.pairing_code)
            assert (await waiting).status_code == 200


class TestWhoLeavesBehindAPipelinedRequest:
    """Ours: it was noticed after 20 s, by error lines in the log that any stranger could cause."""

    async def test_the_place_is_free_at_once(
        self, make_world: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = await make_world(max_wait=3600)
        login = await world.open()
        key = f"Authorization: Bearer {login.verifier}"
        waits = f"GET /v1/logins/{login.id}/response?wait=3600 HTTP/1.1\r\n{key}\r\n\r\n"
        listener, _ = loopback()
        async with listening(world.app, listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(waits.encode() + b"GET /healthz HTTP/1.1\r\n\r\n" * 2)
            await until(lambda: len(world.relay.bells) == 1)
            writer.transport.abort()
            for _ in range(PATIENCE * 20):
                if len(world.relay.bells):
                    await asyncio.sleep(0.05)
            assert len(world.relay.bells) == 0
        assert [one for one in caplog.records if one.levelno > logging.INFO] == []
