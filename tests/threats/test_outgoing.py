"""Where an instance's own requests go, and whose."""

import asyncio
import contextlib

import pytest
from opencode_relay.client import AsyncClient, ClientError

from tests.threats.world import CODE, World, code_on, listening, loopback


class TestSecretsForALoopbackRelaySentThroughAProxy:
    """Our own client: instance key, verifier, code and state went to HTTP_PROXY in clear."""

    @pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    async def test_a_whole_login_passes_the_proxy_by(
        self, world: World, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        through = 0

        async def proxy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal through
            through += 1
            writer.close()

        listener, origin = loopback()
        world.relay.issuer = origin
        async with (
            await asyncio.start_server(proxy, "127.0.0.1", 0) as server,
            listening(world.app, listener),
        ):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            code = ""
            with contextlib.suppress(ClientError):  # what the proxy is sent is what counts
                async with AsyncClient(origin, key=world.instance_key) as client:
                    login = await client.open(completion_code=True)
                    page = await world.callback(login.state.reveal())
                    await client.complete(login, code_on(page))
                    code = (await client.wait(login, 10))["code"]
                    await client.finish(login)
        assert (through, code) == (0, CODE)
