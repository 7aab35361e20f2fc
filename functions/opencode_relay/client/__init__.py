"""The instance's side in Python: open a login, wait for the response, open it, finish.

    with Client("https://relay.example.com", key="ocr_…") as relay:
        login = relay.open(name="my tool", provider="Example")
        … send the person to the IdP with login.state and login.redirect_uri,
        … and show them login.pairing_code
        params = relay.wait(login)
        … redeem params["code"] with your own PKCE verifier
        relay.finish(login)

`AsyncClient` is the same with `await`. Errors:

    ClientError
    ├── NotARelay        the URL is no relay that may be used, with the reason
    ├── Unreachable      no usable answer, after as many tries as the time allowed
    ├── RelayRefused     the relay refused: `status`, `code`, `detail`, `tries_left`
    └── LoginOver        the login has expired, or was declined, cancelled, or finished: `code`

A sealed response that fails a check raises `response.SealError`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import ECKey

from opencode_relay import addresses, response
from opencode_relay.errors import ConfigError, RelayError
from opencode_relay.keys.held import LOOK_AGAIN
from opencode_relay.secret import Secret

Result = TypeVar("Result")
_ANSWER = 10.0  # seconds for an answer, beside what the relay was asked to wait
_SLOWEST = 30.0  # seconds between two tries at most
_LAST_CALL = 60  # seconds after expiry in which a release of the last moment can be collected


class ClientError(RelayError):
    """Every error of the client, but for `SealError`."""


class NotARelay(ClientError):
    pass


class Unreachable(ClientError):
    pass


class RelayRefused(ClientError):
    """A refusal in the protocol's words: `code` is the problem's slug."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("type", "")).rpartition("/")[2]
        self.detail = str(problem.get("detail", ""))
        self.tries_left: int | None = problem.get("tries_left")
        super().__init__(f"The relay refused ({status} {self.code}): {self.detail}")


class LoginOver(RelayRefused):
    pass


@dataclass(frozen=True, slots=True)
class OpenLogin:
    """A login that this client opened, with what proves that it is ours."""

    login_id: str
    state: Secret
    redirect_uri: str
    confirmation: str
    pairing_code: Secret | None
    expires_at: float  # of time.monotonic()
    max_wait: int
    idp_issuer: str | None
    verifier: Secret
    private_key: ECKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Send:
    method: str
    path: str
    bearer: Secret | None = None
    json: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None
    timeout: float = _ANSWER


_Steps = Generator[_Send | float, httpx.Response | None, Result]


class _Talk:
    """What is said and in which order, without I/O: steps give requests, and seconds to sleep."""

    def __init__(self, issuer: str, key: str | None = None) -> None:
        try:
            self.issuer = addresses.origin(issuer, "The relay's URL")
        except ConfigError as wrong:
            raise NotARelay(str(wrong)) from None
        self._key = Secret(key) if key else None
        self._discovery: dict[str, Any] | None = None
        self._jwks: dict[str, Mapping[str, Any]] = {}
        self._looked = -math.inf

    def discover(self) -> _Steps[dict[str, Any]]:
        """Fetch the discovery document once, and believe it only as far as the protocol says."""
        if self._discovery is None:
            found = _json(_expect((yield _Send("GET", "/.well-known/opencode-relay")), 200))
            if found.get("protocol") != 1:
                version = str(found.get("protocol"))[:20]
                raise NotARelay(f"{self.issuer} speaks protocol {version}; this client speaks 1.")
            if found.get("issuer") != self.issuer:
                raise NotARelay(f"{self.issuer} calls itself by another issuer: use its own URL.")
            for name in ("redirect_uri", "logins_endpoint", "jwks_uri"):
                parts = urlsplit(str(found.get(name)))
                if f"{parts.scheme}://{parts.netloc}" != self.issuer:
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
    ) -> _Steps[OpenLogin]:
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
        path = urlsplit(found["logins_endpoint"]).path
        answer = _json(_expect((yield _Send("POST", path, self._key, body)), 201))
        code = answer.get("pairing_code")
        return OpenLogin(
            login_id=_member(answer, "login_id", str),
            state=Secret(_member(answer, "state", str)),
            redirect_uri=_member(answer, "redirect_uri", str),
            confirmation=_member(answer, "confirmation", str),
            pairing_code=Secret(str(code)) if code else None,
            expires_at=time.monotonic() + _member(answer, "expires_in", int),
            max_wait=_member(answer, "max_wait", int),
            idp_issuer=idp_issuer,
            verifier=verifier,
            private_key=key,
        )

    def wait(self, login: OpenLogin, seconds: float | None = None) -> _Steps[dict[str, str]]:
        """Return the callback's parameters, checked; an IdP's `error` is one of them.

        Waits until the login expires, or `seconds` at most, through lost answers, 429 and 5xx.
        """
        until = login.expires_at + _LAST_CALL
        if seconds is not None:
            until = min(until, time.monotonic() + seconds)
        pause = 0.0
        while True:
            left = until - time.monotonic()
            wait = max(0, min(login.max_wait, math.ceil(left)))
            answer = yield _Send(
                "GET",
                f"/v1/logins/{login.login_id}/response",
                login.verifier,
                query={"wait": str(wait)},
                timeout=wait + _ANSWER,
            )
            if answer is not None and answer.status_code == httpx.codes.OK:
                sealed = _member(_json(answer), "response", str)
                try:
                    return (yield from self.unseal(login, sealed))
                except (NotARelay, RelayRefused, Unreachable):
                    answer = None  # its keys could not be fetched: the same as an answer lost
            if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
                pause, again = 0.0, _retry_after(answer, 1)
            elif answer is None or answer.status_code == 429 or answer.status_code >= 500:  # noqa: PLR2004
                # Jitter, so that instances that lost a relay together do not come back together.
                pause = min(_SLOWEST, pause * 2 or 1)
                again = max(pause * (0.5 + secrets.randbelow(500) / 1000), _retry_after(answer, 0))
            else:
                raise _refusal(answer)
            if time.monotonic() + again >= until:
                raise Unreachable("No response came in the time there was.")
            yield again

    def unseal(self, login: OpenLogin, sealed: str) -> _Steps[dict[str, str]]:
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
            answer = _expect((yield _Send("GET", urlsplit(found["jwks_uri"]).path)), 200)
            self._jwks = {str(jwk.get("kid")): jwk for jwk in _member(_json(answer), "keys", list)}
            self._looked = time.monotonic()  # only now: a look that failed has not seen them

    def complete(self, login: OpenLogin, completion_code: str) -> _Steps[None]:
        """Send the completion code that the person typed. Raises RelayRefused if it is wrong."""
        path = f"/v1/logins/{login.login_id}/completion"
        body = {"completion_code": completion_code}
        _expect((yield _Send("POST", path, login.verifier, body)), 204)

    def finish(self, login: OpenLogin) -> _Steps[None]:
        """End the login: what the relay held of it is erased."""
        _expect((yield _Send("DELETE", f"/v1/logins/{login.login_id}", login.verifier)), 204)

    def build(self, http: httpx.Client | httpx.AsyncClient, step: _Send) -> httpx.Request:
        bearer = {"Authorization": f"Bearer {step.bearer.reveal()}"} if step.bearer else {}
        return http.build_request(
            step.method,
            self.issuer + step.path,
            headers=bearer,
            json=step.json,
            params=step.query,
            timeout=step.timeout,
        )


class Client:
    """A relay, spoken to by blocking calls. `http` may be given, for tests or special proxies."""

    def __init__(
        self, issuer: str, *, key: str | None = None, http: httpx.Client | None = None
    ) -> None:
        self._talk = _Talk(issuer, key)
        self._http = http or httpx.Client()

    def discover(self) -> dict[str, Any]:
        return self._run(self._talk.discover())

    def open(self, **options: Any) -> OpenLogin:
        return self._run(self._talk.open(**options))

    def wait(self, login: OpenLogin, seconds: float | None = None) -> dict[str, str]:
        return self._run(self._talk.wait(login, seconds))

    def unseal(self, login: OpenLogin, sealed: str) -> dict[str, str]:
        return self._run(self._talk.unseal(login, sealed))

    def complete(self, login: OpenLogin, completion_code: str) -> None:
        self._run(self._talk.complete(login, completion_code))

    def finish(self, login: OpenLogin) -> None:
        self._run(self._talk.finish(login))

    def _run(self, steps: _Steps[Result]) -> Result:
        answer: httpx.Response | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = None
            if isinstance(step, float | int):
                time.sleep(step)
                continue
            try:
                answer = self._http.send(self._talk.build(self._http, step), follow_redirects=False)
            except httpx.RequestError:
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class AsyncClient:
    """A relay, spoken to from asyncio. `http` may be given, for tests or special proxies."""

    def __init__(
        self, issuer: str, *, key: str | None = None, http: httpx.AsyncClient | None = None
    ) -> None:
        self._talk = _Talk(issuer, key)
        self._http = http or httpx.AsyncClient()

    async def discover(self) -> dict[str, Any]:
        return await self._run(self._talk.discover())

    async def open(self, **options: Any) -> OpenLogin:
        return await self._run(self._talk.open(**options))

    async def wait(self, login: OpenLogin, seconds: float | None = None) -> dict[str, str]:
        return await self._run(self._talk.wait(login, seconds))

    async def unseal(self, login: OpenLogin, sealed: str) -> dict[str, str]:
        return await self._run(self._talk.unseal(login, sealed))

    async def complete(self, login: OpenLogin, completion_code: str) -> None:
        await self._run(self._talk.complete(login, completion_code))

    async def finish(self, login: OpenLogin) -> None:
        await self._run(self._talk.finish(login))

    async def _run(self, steps: _Steps[Result]) -> Result:
        answer: httpx.Response | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = None
            if isinstance(step, float | int):
                await asyncio.sleep(step)
                continue
            request = self._talk.build(self._http, step)
            try:
                answer = await self._http.send(request, follow_redirects=False)
            except httpx.RequestError:
                continue

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


def _expect(answer: httpx.Response | None, status: int) -> httpx.Response:
    if answer is None:
        raise Unreachable("The relay cannot be reached: check its URL and that it runs.")
    if answer.status_code != status:
        raise _refusal(answer)
    return answer


def _refusal(answer: httpx.Response) -> ClientError:
    if answer.is_redirect:
        return NotARelay("The relay's URL answers with a redirect, which is not followed.")
    if answer.headers.get("content-type") != "application/problem+json":
        return NotARelay(f"The relay's URL answers {answer.status_code}, but not as a relay does.")
    over = answer.status_code in {httpx.codes.GONE, httpx.codes.NOT_FOUND}
    return (LoginOver if over else RelayRefused)(answer.status_code, _json(answer))


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotARelay("The relay's URL answers with something that is no JSON object.")
    return found


def _member(found: dict[str, Any], name: str, kind: type[Result]) -> Result:
    value = found.get(name)
    if not isinstance(value, kind):
        raise NotARelay(f"The relay's answer has no usable member {name!r}.")
    return value


def _retry_after(answer: httpx.Response | None, default: float) -> float:
    text = answer.headers.get("retry-after", "") if answer is not None else ""
    return float(text) if text.isdigit() else default
