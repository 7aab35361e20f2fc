"""An MCP server behind FastMCP's OAuthProxy, its transactions in memory."""

import os

from fastmcp import FastMCP
from fastmcp.server.auth.oauth_proxy import OAuthProxy
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from key_value.aio.stores.memory import MemoryStore

proxy = OAuthProxy(
    upstream_authorization_endpoint="https://idp.example/authorize",
    upstream_token_endpoint="https://idp.example/token",  # noqa: S106
    upstream_client_id="client",
    upstream_client_secret="secret",  # noqa: S106
    token_verifier=StaticTokenVerifier(tokens={}),
    base_url=os.environ["BASE_URL"],
    client_storage=MemoryStore(),
)
app = FastMCP("benchmark", auth=proxy).http_app()
