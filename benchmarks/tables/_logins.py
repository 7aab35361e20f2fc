"""Logins by pairing code, request by request, as an instance and a person's browser send them.

All of them share one key pair and one verifier, made beforehand: the relay does the same work for
each, and the client has none. Each request has only the headers that the relay asks for.
"""

import html
import json
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlencode

from joserfc.jwk import ECKey
from opencode_relay.response import unseal

from benchmarks.harness.client import Answer, ask, exchange, request
from benchmarks.harness.processes import Server
from benchmarks.harness.rounds import Wrong

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@dataclass(frozen=True, slots=True)
class Opened:
    """What the relay tells the instance of its login."""

    login_id: str
    state: str
    pairing_code: str


MOST = 25  # seconds of a wait, the longest that the relay can be set to


def room_for(waiters: int) -> dict[str, str]:
    """Return the settings with which one instance may wait so often: a quarter is its share."""
    return {"RELAY_MAX_WAITERS": str(4 * waiters + 100), "RELAY_MAX_WAIT": str(MOST)}


class Logins:
    """Makes the requests of one relay's logins, and reads its answers. Each raises Wrong."""

    def __init__(self, server: Server, instance_key: str) -> None:
        self.server = server
        self._key = ECKey.generate_key("P-256")
        self._code = secrets.token_urlsafe(32)
        verifier = secrets.token_urlsafe(32)
        self._verifier = {"Authorization": f"Bearer {verifier}"}
        self.challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
        members = {
            "collect_challenge": self.challenge.decode(),
            "encryption_key": self._key.as_dict(private=False),
            "name": "a benchmark",
            "provider": "ChatGPT",
        }
        self.open = self._request(
            "POST",
            "/v1/logins",
            {"Authorization": f"Bearer {instance_key}", "Content-Type": "application/json"},
            json.dumps(members).encode(),
        )
        self._jwks = {
            key["kid"]: key
            for key in json.loads(self._ask("GET", "/.well-known/jwks.json").body)["keys"]
        }

    def _request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> bytes:
        return request(method, path, self.server.port, headers, body)

    def _ask(self, method: str, path: str) -> Answer:
        return expect(200, ask(self.server.port, self._request(method, path)))

    # The instance

    def opened(self, answer: Answer) -> Opened:
        found = json.loads(expect(201, answer).body)
        return Opened(found["login_id"], found["state"], found["pairing_code"])

    def wait(self, login: Opened) -> bytes:
        path = f"/v1/logins/{login.login_id}/response?wait={MOST}"
        return self._request("GET", path, self._verifier)

    def finish(self, login: Opened) -> bytes:
        return self._request("DELETE", f"/v1/logins/{login.login_id}", self._verifier)

    def check_delivered(self, login: Opened, answer: Answer) -> None:
        """Decrypt and verify the response, as the instance does: the code must be in it."""
        sealed = json.loads(expect(200, answer).body)["response"]
        params = unseal(
            sealed,
            private_key=self._key,
            find=self._jwks.get,
            issuer=f"http://127.0.0.1:{self.server.port}",
            login_id=login.login_id,
            now=time.time(),
        )
        if params != {"code": self._code}:
            raise Wrong(f"Delivered were {params!r}.")

    # The person's browser

    def callback(self, login: Opened) -> bytes:
        query = urlencode({"code": self._code, "state": login.state})
        return self._request("GET", f"/auth/callback?{query}")

    def allow(self, login: Opened, page: Answer) -> bytes:
        """Fill in the confirm page's form, and press Allow."""
        fields = _HIDDEN.findall(expect(200, page).body.decode())
        form = {name: html.unescape(value) for name, value in fields}
        form |= {"decision": "allow", "pairing_code": login.pairing_code}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://127.0.0.1:{self.server.port}",
            "Sec-Fetch-Site": "same-origin",
        }
        return self._request("POST", "/auth/confirm", headers, urlencode(form).encode())

    # Many at once

    def open_many(self, count: int) -> list[Opened]:
        return [self.opened(one) for one in self.send_many([self.open] * count)]

    def allow_many(self, logins: Sequence[Opened]) -> list[bytes]:
        """Bring every login's callback, and return what pressing Allow will send."""
        pages = self.send_many([self.callback(login) for login in logins])
        return [self.allow(login, page) for login, page in zip(logins, pages, strict=True)]

    def sealed_size(self) -> int:
        """Carry one login out, and return how many bytes its response has."""
        [login] = self.open_many(1)
        [allow] = self.allow_many([login])
        expect(303, ask(self.server.port, allow))
        delivered = ask(self.server.port, self.wait(login))
        self.check_delivered(login, delivered)
        return len(json.loads(delivered.body)["response"])

    def send_many(self, requests: Sequence[bytes]) -> list[Answer]:
        return exchange(self.server.port, requests, connections=8) if requests else []


def expect(status: int, answer: Answer) -> Answer:
    if answer.status != status:
        raise Wrong(f"{status} was expected: {answer.raw[:2000]!r}")
    return answer
