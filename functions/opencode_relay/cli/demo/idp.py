"""The demo's identity provider: just enough of OAuth 2.0 with PKCE to sign a person in.

For the demo only: whoever types a name is that person.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from html import escape
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from opencode_relay.web.requests import parse_once

CLIENT_ID = "demo"
_PAGE = """<!doctype html><html lang="en"><title>Sign in</title>
<meta name="viewport" content="width=device-width"><h1>The demo's identity provider</h1>
<form method="post" action="/authorize"><input type="hidden" name="request" value="{request}">
<label>Your name <input name="login" value="ada" required></label>
<button>Sign in and agree</button></form></html>"""


class IdP:
    """Authorization and token endpoint; each code is redeemed once, with its verifier."""

    def __init__(self) -> None:
        self.redirect_uri = ""
        self.issuer = ""
        self.codes: list[str] = []
        self.redeemed: list[str] = []
        self._requests: dict[str, tuple[str, str]] = {}
        self._grants: dict[str, tuple[str, str]] = {}

    def app(self, url: str) -> ASGIApp:
        self.issuer = url
        return Starlette(
            routes=[
                Route("/authorize", self.authorize, methods=["GET"]),
                Route("/authorize", self.sign_in, methods=["POST"]),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        challenge, state = asked.get("code_challenge", ""), asked.get("state", "")
        wanted = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "code_challenge_method": "S256",
        }
        if not (challenge and state) or any(asked.get(k) != v for k, v in wanted.items()):
            return HTMLResponse("This is not a request that the demo makes.", 400)
        number = secrets.token_urlsafe(8)
        self._requests[number] = (challenge, state)
        return HTMLResponse(_PAGE.format(request=escape(number)))

    async def sign_in(self, request: Request) -> Response:
        form = parse_once(await request.body()) or {}
        number, login = form.get("request", ""), form.get("login", "")
        if number not in self._requests:
            return HTMLResponse("Start again at the demo.", 400)
        challenge, state = self._requests.pop(number)
        code = secrets.token_urlsafe(24)
        self.codes.append(code)
        self._grants[code] = (challenge, login)
        query = urlencode({"code": code, "state": state, "iss": self.issuer})
        return RedirectResponse(f"{self.redirect_uri}?{query}", 303)

    async def token(self, request: Request) -> Response:
        form = parse_once(await request.body()) or {}
        code, verifier = form.get("code", ""), form.get("code_verifier", "")
        challenge, login = self._grants.pop(code, ("", ""))
        if not challenge or challenge_of(verifier) != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.redeemed.append(code)
        tokens = {"access_token": secrets.token_urlsafe(24), "token_type": "Bearer"}
        return JSONResponse({**tokens, "account": login})


def challenge_of(verifier: str) -> str:
    """RFC 7636, S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
