"""FastMCP's server with its authorization server in memory: an MCP server that nobody here wrote.

Only the page that asks for an account, and for Allow or Deny, is ours, and the tool `who`. Run as
`python -P fastmcp_server.py PORT [URL]`; prints JSON lines as mcp-server.mjs does.
"""

import json
import secrets
import sys
from html import escape

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.auth import AccessToken
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.dependencies import get_access_token
from mcp.server.auth.provider import (
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

PAGE = """<!doctype html><html lang="en"><title>FastMCP</title><h1>FastMCP</h1>
<form method="post"><label>Account <input name="account"></label>
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button></form><p>for {client}</p>"""


def log(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)  # noqa: T201


class SignIn(InMemoryOAuthProvider):
    """Asks a person, and knows whose every code and token is."""

    def __init__(self, url: str) -> None:
        super().__init__(
            base_url=url, client_registration_options=ClientRegistrationOptions(enabled=True)
        )
        self._url = url
        self._asked: dict[str, tuple[OAuthClientInformationFull, AuthorizationParams]] = {}
        self._accounts: dict[str, str] = {}  # by code and by token

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        await super().register_client(client_info)
        log("registration", **client_info.model_dump(mode="json"))

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        one = secrets.token_urlsafe()
        self._asked[one] = client, params
        redirect_uri, resource = str(params.redirect_uri), params.resource
        log(
            "authorization",
            client_id=client.client_id,
            redirect_uri=redirect_uri,
            resource=resource,
        )
        return f"{self._url}/login?id={one}"

    async def login(self, request: Request) -> Response:
        client, params = self._asked[request.query_params["id"]]
        if request.method == "GET":
            return HTMLResponse(PAGE.format(client=escape(client.client_name or "nobody")))
        form = await request.form()
        if form["decision"] == "deny":
            log("denied", redirect_uri=str(params.redirect_uri))
            denied = construct_redirect_uri(
                str(params.redirect_uri), error="access_denied", state=params.state
            )
            return RedirectResponse(denied, 303)
        onward = await super().authorize(client, params)
        code = list(self.auth_codes)[-1]
        self._accounts[code] = str(form["account"])
        log("code", code=code, account=self._accounts[code], redirect_uri=str(params.redirect_uri))
        return RedirectResponse(onward, 303)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        tokens = await super().exchange_authorization_code(client, authorization_code)
        return self._given("authorization_code", authorization_code.code, tokens)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        tokens = await super().exchange_refresh_token(client, refresh_token, scopes)
        return self._given("refresh_token", refresh_token.token, tokens)

    def _given(self, grant_type: str, grant: str, tokens: OAuthToken) -> OAuthToken:
        account = self._accounts.pop(grant)
        self._accounts[tokens.access_token] = account
        self._accounts[tokens.refresh_token or ""] = account
        log(
            "token",
            grant_type=grant_type,
            account=account,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
        )
        return tokens

    def account(self, token: AccessToken | None) -> str:
        return self._accounts[token.token] if token else "nobody"


async def healthy(_: Request) -> Response:
    return JSONResponse({})


def main(port: int, url: str) -> None:
    sign_in = SignIn(url)
    server: FastMCP = FastMCP("demo", auth=sign_in)
    server.custom_route("/healthz", ["GET"])(healthy)
    server.custom_route("/login", ["GET", "POST"])(sign_in.login)

    @server.tool
    def who() -> str:
        """Says who is signed in."""
        account = sign_in.account(get_access_token())
        log("who", account=account)
        return account

    app = server.http_app(stateless_http=True, host_origin_protection=False)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), (sys.argv[2:] or [f"http://127.0.0.1:{sys.argv[1]}"])[0])
