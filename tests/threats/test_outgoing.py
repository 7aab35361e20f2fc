"""Where an instance's own requests go, and whose."""

import asyncio
import contextlib

import httpx
import pytest
from opencode_relay.cli.doctor.checks import carry_out
from opencode_relay.cli.doctor.mcp import McpExamination
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


LOCAL = "http://127.0.0.1:8500"
PUBLIC = "https://mcp.example"


class TestAServerElsewhereUsesWhoLooksAtIt:
    """`doctor --mcp` asks from inside a network, and sends what it was given."""

    def asked(self, **more: object) -> list[httpx.Request]:
        """Look at a public MCP server; `more` is what its documents say otherwise."""
        said = {
            "resource": f"{PUBLIC}/mcp",
            "authorization_servers": [PUBLIC],
            "issuer": PUBLIC,
            "authorization_endpoint": f"{PUBLIC}/authorize",
            "token_endpoint": f"{PUBLIC}/token",
            "registration_endpoint": f"{PUBLIC}/register",
            "client_id": "c",
            "registration_access_token": "the-token",
            **more,
        }
        asked = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            if request.url.path == "/mcp":
                return httpx.Response(401)
            if (moved := more.get(request.url.path)) is not None:
                return httpx.Response(307, headers={"Location": str(moved)})
            return httpx.Response(200, json=said)

        with httpx.Client(transport=httpx.MockTransport(answer)) as web:
            examined = McpExamination(web, f"{PUBLIC}/mcp", None)
            list(carry_out(examined.checks(), needed=examined.needed))
        return asked

    @pytest.mark.parametrize(
        "more",
        [
            {"authorization_servers": [LOCAL]},
            {"authorization_endpoint": f"{LOCAL}/"},
            {"registration_endpoint": f"{LOCAL}/v1/agent/service/register"},
            {"registration_client_uri": f"{LOCAL}/"},
            {"registration_endpoint": "https://localhost/register"},
            {"registration_endpoint": "https://localhost./register"},
            {"registration_endpoint": "https://127.1/register"},
            {"registration_endpoint": "https://[::ffff:127.0.0.1]/register"},
            {"registration_endpoint": "https://0.0.0.0/register"},
            {"registration_endpoint": "https://10.0.0.1/register"},
            {"registration_endpoint": "https://[fd00::1]/register"},
            {"registration_endpoint": "https://169.254.169.254/register"},
            {"/.well-known/oauth-authorization-server": f"{LOCAL}/"},
        ],
    )
    def test_it_reaches_nothing_on_this_machine(self, more: dict[str, object]) -> None:
        asked = self.asked(**more)
        assert {request.url.host for request in asked} == {"mcp.example"}

    @pytest.mark.parametrize("path", ["/register", "/authorize"])
    def test_it_sends_nothing_on_to_others(self, path: str) -> None:
        asked = self.asked(**{path: "https://elsewhere.example/"})
        assert {request.url.host for request in asked} == {"mcp.example"}

    def test_it_believes_nobody_who_has_another_name(self) -> None:
        """RFC 8414 section 3.3."""
        iss = {"authorization_response_iss_parameter_supported": True}
        asked = self.asked(issuer="https://other.example", **iss)
        assert "/register" not in {request.url.path for request in asked}
        assert "/register" in {request.url.path for request in self.asked(issuer=f"{PUBLIC}/")}

    @pytest.mark.parametrize("name", ["token_endpoint", "authorization_endpoint"])
    def test_it_takes_no_endpoint_of_others_from_who_sends_no_iss(self, name: str) -> None:
        """Mix-up (RFC 9700 section 4.4)."""

        def registers(url: str, **more: object) -> bool:
            return "/register" in {one.url.path for one in self.asked(**{name: url}, **more)}

        elsewhere = "https://elsewhere.example/x"
        assert not registers(elsewhere)
        assert registers(elsewhere, authorization_response_iss_parameter_supported=True)
        assert registers("https://login.mcp.example/x")
        assert not registers(f"{PUBLIC}:8443/x")

    def test_its_metadata_is_its_own(self) -> None:
        """RFC 9728 section 3.3."""
        for resource in (f"{PUBLIC}/other", f"{PUBLIC}/", "https://other.example/mcp"):
            assert "/register" not in {one.url.path for one in self.asked(resource=resource)}
        assert "/register" in {one.url.path for one in self.asked(resource=f"{PUBLIC}/mcp/")}

    def test_a_clients_token_goes_to_who_gave_it(self) -> None:
        asked = self.asked(registration_client_uri="https://elsewhere.example/c")
        assert "elsewhere.example" not in {request.url.host for request in asked}
        asked = self.asked(registration_client_uri=f"{PUBLIC}/c")
        assert (asked[-1].method, str(asked[-1].url)) == ("DELETE", f"{PUBLIC}/c")
