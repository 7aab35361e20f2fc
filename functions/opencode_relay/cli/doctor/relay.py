"""`opencode-relay doctor URL`: looks at a relay, and at what stands in front of it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from html import unescape

import httpx

from opencode_relay import program
from opencode_relay.addresses import NOBODYS
from opencode_relay.client import Client, ClientError, LoginOver, OpenLogin, RelayRefused
from opencode_relay.errors import ConfigError
from opencode_relay.response import LEEWAY

from .checks import Check, NotTried, Wrong
from .origins import judge
from .tls import Connection
from .web import text_of

NEEDED = 3  # without these the others say nothing
_CSP = ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'")
LONGEST = 25  # seconds that a relay may hold a question
LOGIN, RETURN_URL = "a whole login", "the return URL"


class Examination:
    """The checks of a relay, in the order in which one needs the other."""

    def __init__(
        self,
        web: httpx.Client,
        url: str,
        key: str | None = None,
        how: str = "name a file with it by --key-file, or - to be asked",
    ) -> None:
        """`how` says how a key is given that is missing.

        Raises NotARelay where `url` is no origin, ConfigError where `key` can be no key.
        """
        if key and not re.fullmatch("[!-~]+", key):
            # httpx would name it in its error.
            raise ConfigError("The instance key has characters that no key has: copy it again.")
        self._relay = Client(url, key=key, http=web)
        self._web = web
        self._url = url
        self._has_key = bool(key)
        self._how = how
        self._connection = Connection(web, url, f" Does `{program.name()} serve` run there?")
        self._opened_from: str | None = None

    def checks(self, instance: str | None = None) -> list[Check]:
        """List them; with an `instance`'s URL and a key also whether it may be returned to."""
        return [
            *self._connection.checks(),
            Check("answers as a relay", self._discovery),
            Check("store and keys", self._health),
            Check("clock", self._clock),
            Check("signing keys", self._jwks),
            Check("headers of its pages", self._headers),
            Check("Origin of a form", self._origin),
            Check(LOGIN, self._login),
            Check("callers' addresses", self._addresses),
            Check("a held question", self._held, slow=LONGEST),
            *self._return_url(instance),
        ]

    def first(self, instance: str | None = None) -> list[Check]:
        """List those by which a relay and a key prove good, in a second."""
        return [
            *self._connection.checks(),
            Check("answers as a relay", self._discovery),
            Check("store and keys", self._health),
            Check("clock", self._clock),
            Check(LOGIN, self._login),
            *self._return_url(instance),
        ]

    def _return_url(self, instance: str | None) -> list[Check]:
        if not (instance and self._has_key):
            return []
        return [Check(RETURN_URL, lambda: self._registered(f"{instance}/auth/callback"))]

    def _discovery(self) -> str:
        found = self._relay.discover()
        version, enrolment = (str(found.get(name))[:40] for name in ("version", "enrolment"))
        return f"protocol 1, version {version}, enrolment {enrolment}"

    def _health(self) -> str:
        answer = self._web.get(f"{self._url}/healthz")
        if answer.status_code != httpx.codes.OK:
            raise Wrong("/healthz says that the store or the keys cannot be read.")
        return "readable"

    def _clock(self) -> str:
        sent = self._web.get(f"{self._url}/healthz").headers.get("date", "")
        try:
            ahead = int(parsedate_to_datetime(sent).timestamp() - time.time())
        except ValueError:
            raise NotTried("the relay sends no date") from None
        if abs(ahead) >= LEEWAY:
            way = "ahead of" if ahead > 0 else "behind"
            raise Wrong(f"It is {abs(ahead)} s {way} this machine's: mend the wrong one.")
        return "agrees with this machine's"

    def _jwks(self) -> str:
        found = self._web.get(self._relay.discover()["jwks_uri"]).json()
        keys = [k for k in found.get("keys", []) if k.get("alg") == "ES256" and "d" not in k]
        if not keys or len(keys) != len(found["keys"]):
            raise Wrong("The key set must hold public ES256 keys and nothing else.")
        return f"{len(keys)} public"

    def _headers(self) -> str:
        headers = self._web.get(self._relay.discover()["redirect_uri"]).headers
        wanted = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        missing = [name for name, value in wanted.items() if headers.get(name) != value]
        policy = headers.get("content-security-policy", "")
        if any(part not in policy for part in _CSP):
            missing.append("content-security-policy")
        if self._url.startswith("https://") and "strict-transport-security" not in headers:
            missing.append("strict-transport-security")
        if missing:
            raise Wrong(f"Something on the way takes these away or changes them: {missing}.")
        return "as the protocol says"

    def _origin(self) -> str:
        """Send what is no form: `Origin` is looked at before it, and answered otherwise."""
        own, foreign = (self._post_from(origin) for origin in (self._url, "https://doctor.invalid"))
        if own == httpx.codes.FORBIDDEN:
            raise Wrong(
                "Something on the way takes Origin away or changes it, so that nobody can press "
                "Allow: let the proxy pass it on."
            )
        if own != httpx.codes.BAD_REQUEST:
            raise Wrong(f"/auth/confirm answers {own}: let the proxy pass POST on.")
        if foreign != httpx.codes.FORBIDDEN:
            raise Wrong(
                f"A form of another site is not refused (status {foreign}): let the proxy pass "
                "Origin on as it came."
            )
        return "arrives"

    def _post_from(self, origin: str) -> int:
        headers = {"Origin": origin, "Content-Type": "text/plain"}
        return self._web.post(f"{self._url}/auth/confirm", headers=headers).status_code

    def _login(self) -> str:
        code = f"made-up-{secrets.token_hex(8)}"
        with self._opened(NOBODYS) as login:
            query = {"state": login.state.reveal(), "code": code}
            page = self._web.get(login.redirect_uri, params=query)
            text = text_of(page)
            shown = re.search(r"<code[^>]{0,100}>([0-9A-Z]{4}-[0-9A-Z]{4})</code>", text)
            if shown is None:
                raise Wrong(f"The callback answered {page.status_code} and no completion code.")
            named = re.search(r"<dt>Opened from</dt><dd><bdi>([^<]{1,200})</bdi>", text)
            self._opened_from = unescape(named[1]) if named else None
            self._relay.complete(login, shown[1])
            if self._relay.wait(login, 15) != {"code": code}:
                raise Wrong("Another code came back than was sent.")
        _erased(self._relay, login)
        return "opened, sealed, collected, verified, erased"

    def _addresses(self) -> str:
        if self._opened_from is None:
            raise NotTried("needs a page of a whole login")
        met = self._connection.met
        return judge(
            self._opened_from,
            here=met.here if met else "",
            there=met.there if met else "",
            https=self._url.startswith("https://"),
        )

    def _held(self) -> str:
        """Ask for a response that does not come, for as long as the relay lets us wait."""
        with self._opened() as login:
            seconds = min(login.max_wait, LONGEST)
            if seconds <= 0:
                return "this relay lets nobody wait"
            try:
                answer = self._web.get(
                    f"{self._relay.discover()['logins_endpoint']}/{login.login_id}/response",
                    params={"wait": int(seconds)},
                    headers={"Authorization": f"Bearer {login.verifier.reveal()}"},
                    timeout=seconds + 5,
                )
            except httpx.TransportError as wrong:
                raise _cut(type(wrong).__name__, seconds) from None
            if answer.status_code != httpx.codes.ACCEPTED or '"pending"' not in text_of(answer):
                raise _cut(f"status {answer.status_code}", seconds)
        return f"held for {int(seconds)} s"

    def _registered(self, return_url: str) -> str:
        try:
            self._relay.finish(self._relay.open(name="doctor", return_url=return_url))
        except RelayRefused as refused:
            if refused.code != "return-url-not-allowed":
                raise
            raise Wrong(
                f"The relay sends nobody back to {return_url}: its operator registers it with "
                f"`{program.name()} instances update ID --return-url {return_url}`."
            ) from None
        return "registered"

    @contextmanager
    def _opened(self, forwarded_for: str | None = None) -> Iterator[OpenLogin]:
        found = self._relay.discover()
        if not self._has_key and found["enrolment"] != "open":
            raise NotTried(f"needs an instance key: {self._how}")
        if forwarded_for:
            self._web.headers["X-Forwarded-For"] = forwarded_for
        try:
            login = self._relay.open(name="doctor", provider="doctor", completion_code=True)
        finally:
            self._web.headers.pop("X-Forwarded-For", None)
        try:
            # The client has checked discovery's: no other address is fetched.
            if login.redirect_uri != found["redirect_uri"]:
                raise Wrong(f"A login's redirect_uri is {login.redirect_uri}, discovery's is not.")
            yield login
        except BaseException:
            with suppress(ClientError):  # what went wrong first is what is told
                self._relay.finish(login)
            raise
        self._relay.finish(login)


def _cut(how: str, seconds: float) -> Wrong:
    return Wrong(
        f"It was cut ({how}), so sign-ins arrive late: let the proxy hold requests for "
        f"{int(seconds)} s (RELAY_MAX_WAIT) and a little more."
    )


def _erased(relay: Client, login: OpenLogin) -> None:
    try:
        relay.wait(login, 5)
    except LoginOver as over:
        if over.code == "login-not-found":
            return
    except ClientError:
        pass
    raise Wrong("The login is still there after it was finished.")
