"""What is said to a relay and in which order, without I/O: steps give requests, and sleeps."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import ECKey

from opencode_relay import addresses, response
from opencode_relay.errors import ConfigError
from opencode_relay.keys.held import LOOK_AGAIN
from opencode_relay.secret import Secret

from .answers import (
    expect,
    is_pending,
    json_object,
    member,
    relays_own_end,
    retry_after,
    text,
    whole,
)
from .errors import ClientError, NotARelay, Unreachable
from .steps import Answer, OpenLogin, Send, Steps

_SLOWEST = 30.0  # seconds between two tries at most
_FIRST = 8  # seconds from opening to the first question, where the relay does not hold it
_HELD = 1.0  # seconds: an answer that comes sooner was not held
_LAST_CALL = 60  # seconds after expiry in which a release of the last moment can be collected
_LONGEST_LOGIN = 86_400  # seconds; relays give 1,800 at most
_LONGEST_WAIT = 60  # seconds; relays hold a question for 25 at most


class Talk:
    """What is said and in which order, without I/O: steps give requests, and seconds to sleep."""

    def __init__(self, issuer: str, key: str | None = None) -> None:
        try:
            self.issuer = addresses.origin(issuer, "The relay's URL")
        except ConfigError as wrong:
            raise NotARelay(str(wrong)) from None
        if key and not re.fullmatch("[!-~]+", key):
            raise ClientError("The instance key has characters that no key has: copy it again.")
        self._key = Secret(key) if key else None
        self._discovery: dict[str, Any] | None = None
        self._jwks: dict[str, Mapping[str, Any]] = {}
        self._looked = -math.inf

    def discover(self) -> Steps[dict[str, Any]]:
        """Fetch the discovery document once, and believe it only as far as the protocol says."""
        if self._discovery is None:
            found = self._object((yield Send("GET", "/.well-known/opencode-relay")), 200)
            version = found.get("protocol")
            if version != 1:
                named = str(version)[:20] if isinstance(version, int) else "unknown"
                raise NotARelay(f"{self.issuer} speaks protocol {named}; this client speaks 1.")
            if found.get("issuer") != self.issuer:
                named = str(found.get("issuer"))[:200]
                raise NotARelay(
                    f"{self.issuer} calls itself {named!r}: use that URL, if it is yours."
                )
            optional = ("client_metadata_uri",) if "client_metadata_uri" in found else ()
            for name in ("redirect_uri", "logins_endpoint", "jwks_uri", *optional):
                endpoint = found.get(name)
                if not isinstance(endpoint, str) or not endpoint.startswith(f"{self.issuer}/"):
                    raise NotARelay(f"{self.issuer} names a {name} on another origin.")
            self._discovery = found
        return self._discovery

    def open(
        self,
        *,
        name: str | None = None,
        provider: str | None = None,
        idp_issuer: str | None = None,
        return_url: str | None = None,
        completion_code: bool = False,
    ) -> Steps[OpenLogin]:
        """Open a login; with `return_url` it is delivered by redirect.

        `idp_issuer` is for an IdP that sends RFC 9207 `iss`. `completion_code` asks for the
        stricter confirmation.
        """
        found = yield from self.discover()
        verifier, key = Secret(secrets.token_urlsafe(32)), ECKey.generate_key("P-256")
        digest = hashlib.sha256(verifier.reveal().encode()).digest()
        body = {
            "collect_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "encryption_key": key.as_dict(private=False),
            "delivery": "redirect" if return_url else "poll",
            "return_url": return_url,
            "confirmation": "completion_code" if completion_code else None,
            "name": name,
            "provider": provider,
            "idp_issuer": idp_issuer,
        }
        body = {name: value for name, value in body.items() if value is not None}
        path = self._path(found["logins_endpoint"])
        answer = self._object((yield Send("POST", path, self._key, body)), 201)
        named = member(answer, "redirect_uri", str)
        if named != found["redirect_uri"]:
            raise NotARelay(
                f"{self.issuer} names another redirect_uri than its discovery: {named[:200]!r}."
            )
        code = member(answer, "pairing_code", str) if "pairing_code" in answer else None
        now = time.monotonic()
        return OpenLogin(
            login_id=text(answer, "login_id", "[A-Za-z0-9_-]{22,64}"),
            state=Secret(member(answer, "state", str)),
            redirect_uri=found["redirect_uri"],
            confirmation=member(answer, "confirmation", str),
            pairing_code=Secret(code) if code else None,
            opened_at=now,
            expires_at=now + whole(answer, "expires_in", _LONGEST_LOGIN),
            max_wait=whole(answer, "max_wait", _LONGEST_WAIT),
            idp_issuer=idp_issuer,
            verifier=verifier,
            private_key=key,
        )

    def wait(self, login: OpenLogin, seconds: float | None = None) -> Steps[dict[str, str]]:
        """Return the callback's parameters, checked; an IdP's `error` is one of them.

        Waits until the login expires, or `seconds` at most, through everything that is not the
        relay's own refusal: lost answers, 429, 5xx, and what something on the way says.
        """
        until = login.expires_at + _LAST_CALL
        if seconds is not None:
            until = min(until, time.monotonic() + seconds)
        if login.max_wait == 0:
            yield max(0.0, min(login.opened_at + _FIRST, until) - time.monotonic())
        pause = 0.0
        while True:
            wait = max(0, min(login.max_wait, math.ceil(until - time.monotonic())))
            asked = time.monotonic()
            answer = yield Send(
                "GET",
                f"/v1/logins/{login.login_id}/response",
                login.verifier,
                query={"wait": str(wait)},
                held=wait,
            )
            try:
                if answer and answer.status == 200:  # noqa: PLR2004
                    sealed = member(json_object(answer), "response", str)
                    return (yield from self.unseal(login, sealed))
            except ClientError:
                answer = None  # no relay's answer, or its keys could not be fetched
            if answer and is_pending(answer):
                pause, again = 0.0, retry_after(answer, 1)
                if time.monotonic() - asked < _HELD:  # nobody was held: 0 would be a loop
                    again = max(again, _HELD)
            else:
                if answer and (refused := relays_own_end(answer, self.issuer)):
                    raise refused
                # Jitter, so that instances that lost a relay together do not come back together.
                pause = min(_SLOWEST, pause * 2 or 1)
                again = max(pause * (0.5 + secrets.randbelow(500) / 1000), retry_after(answer, 0))
            if time.monotonic() + again >= until:
                raise Unreachable("No response came in the time there was.")
            yield again

    def unseal(self, login: OpenLogin, sealed: str) -> Steps[dict[str, str]]:
        """Open a sealed response, as `wait` does, or one that a browser brought."""
        while True:
            try:
                return response.unseal(
                    sealed,
                    private_key=login.private_key,
                    find=self._jwks.get,
                    issuer=self.issuer,
                    login_id=login.login_id,
                    now=time.time(),
                    idp_issuer=login.idp_issuer,
                )
            except response.UnknownKeyError:
                # A message chooses its `kid`: it must not make us fetch as often as it likes.
                if time.monotonic() < self._looked + LOOK_AGAIN:
                    raise
            found = yield from self.discover()
            answer = self._object((yield Send("GET", self._path(found["jwks_uri"]))), 200)
            keys = [key for key in member(answer, "keys", list) if isinstance(key, dict)]
            self._jwks = {key["kid"]: key for key in keys if isinstance(key.get("kid"), str)}
            self._looked = time.monotonic()  # only now: a look that failed has not seen them

    def complete(self, login: OpenLogin, completion_code: str) -> Steps[None]:
        """Send the completion code that the person typed. Raises RelayRefused if it is wrong."""
        path = f"/v1/logins/{login.login_id}/completion"
        body = {"completion_code": completion_code}
        expect((yield Send("POST", path, login.verifier, body)), 204, self.issuer)

    def finish(self, login: OpenLogin) -> Steps[None]:
        """End the login: what the relay held of it is erased."""
        path = f"/v1/logins/{login.login_id}"
        expect((yield Send("DELETE", path, login.verifier)), 204, self.issuer)

    def _object(self, answer: Answer | None, status: int) -> dict[str, Any]:
        return json_object(expect(answer, status, self.issuer))

    def _path(self, endpoint: str) -> str:
        return endpoint.removeprefix(self.issuer)
