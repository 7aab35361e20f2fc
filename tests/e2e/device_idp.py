"""ChatGPT's device flow as far as it is known: not RFC 8628's, for the server makes the verifier.

A code and tokens are given to whoever signed in on the page and typed the code that opencode shows.
"""

import json
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qs

from .idp import CLIENT_ID, ISSUER

API = "/api/accounts/deviceauth"
PAGE = """<!doctype html><title>Device</title><h1>{title}</h1>
<form method=post><label>Account <input name=account></label>
<label>Code <input name=user_code></label><button>Continue</button></form>"""


def jwt(claims: dict[str, object]) -> str:
    parts = [{"alg": "none"}, claims]
    made = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return f"{'.'.join(made)}.{secrets.token_urlsafe()}"


class DeviceIdp(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.devices: dict[str, str] = {}  # device_auth_id by user_code
        self.approved: dict[str, str] = {}  # account by device_auth_id
        self.grants: dict[str, tuple[str, str]] = {}  # verifier and account by code
        self.access_tokens: dict[str, str] = {}  # by account
        self.pending = 0  # polls that came too early

    def usercode(self, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
        if asked != {"client_id": CLIENT_ID}:
            return 400, {}
        device, user_code = secrets.token_hex(16), f"ABCD-{secrets.randbelow(90_000) + 10_000}"
        self.devices[user_code] = device
        return 200, {"device_auth_id": device, "user_code": user_code, "interval": "1"}

    def poll(self, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
        device = asked["device_auth_id"]
        if self.devices.get(asked["user_code"]) != device:
            return 400, {}
        if device not in self.approved:
            self.pending += 1
            return 403, {}
        code, verifier = secrets.token_urlsafe(), secrets.token_urlsafe(32)
        self.grants[code] = verifier, self.approved[device]
        return 200, {"authorization_code": code, "code_verifier": verifier}

    def token(self, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
        verifier, account = self.grants.pop(asked["code"], ("", ""))
        if not verifier or asked != {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "code": asked["code"],
            "redirect_uri": f"{ISSUER}/deviceauth/callback",
            "code_verifier": verifier,
        }:
            return 400, {"error": "invalid_grant"}
        claims: dict[str, object] = {
            "https://api.openai.com/auth": {"chatgpt_account_id": f"acct_{account}"}
        }
        self.access_tokens[account] = jwt(claims)
        return 200, {
            "id_token": jwt(claims),
            "access_token": self.access_tokens[account],
            "refresh_token": secrets.token_urlsafe(),
            "expires_in": 3600,
        }

    def approve(self, account: str, user_code: str) -> str:
        """Take what a person typed on the page, and return what it says then."""
        if user_code not in self.devices:
            return "Wrong code"
        self.approved[self.devices[user_code]] = account
        return "Device connected"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # else opencode asks again on a connection that is closing

    def do_GET(self) -> None:
        if self.path == "/codex/device":
            self._page("Enter the code of your device")
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        idp = cast("DeviceIdp", self.server)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if self.path == "/codex/device":
            self._page(idp.approve(form["account"], form["user_code"]))
        elif self.path == f"{API}/usercode":
            self._json(idp.usercode(json.loads(body)))
        elif self.path == f"{API}/token":
            self._json(idp.poll(json.loads(body)))
        elif self.path == "/oauth/token":
            self._json(idp.token(form))
        else:
            self.send_error(404)

    def _json(self, answer: tuple[int, dict[str, object]]) -> None:
        self._send(answer[0], "application/json", json.dumps(answer[1]))

    def _page(self, title: str) -> None:
        self._send(200, "text/html", PAGE.format(title=escape(title)))

    def _send(self, status: int, content_type: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def device_idp() -> Iterator[DeviceIdp]:
    with DeviceIdp() as idp:
        threading.Thread(target=idp.serve_forever, args=(0.05,), daemon=True).start()
        yield idp
        idp.shutdown()
