"""`opencode-relay doctor --instance`: looks at an opencode, and at the reverse proxy before it.

The plugin's listener marks its answers with `Opencode-Relay: instance`, and says whether a request
still carried opencode's password.
"""

from __future__ import annotations

import os
import re
from html import unescape
from urllib.parse import urlsplit

import httpx

from opencode_relay import addresses, program

from .checks import Check, NotTried, Wrong
from .tls import Connection
from .web import text_of

NEEDED = 3
MARK = "opencode-relay"
PASSWORD_SEEN = "opencode-relay-authorization"  # noqa: S105  # a header's name
HELD = 75  # seconds that a person takes at least; nginx gives up after 60 unless it is told
_GATEWAY = {502, 503, 504}
_ROUTE = (
    "Send exactly /auth/start and /auth/callback to the plugin's listener (127.0.0.1:4097 unless "
    "`listen` says otherwise): see infra/reverse-proxy."
)
_LOG = "opencode's log says why, in a line of opencode-relay"
_PROVIDER = "openai"
_RELAY_METHOD = 0
_PASTING = ": paste the failed page's address"  # ends the plugin's first line, and opencode's none


class InstanceExamination:
    """The checks of an instance's public URL."""

    def __init__(self, web: httpx.Client, url: str) -> None:
        """Raises ConfigError where `url` is no origin."""
        self._web = web
        self._url = addresses.origin(url, "--instance")
        password = os.environ.get("OPENCODE_SERVER_PASSWORD")
        user = os.environ.get("OPENCODE_SERVER_USERNAME", "opencode")
        self._auth = httpx.BasicAuth(user, password) if password else httpx.Auth()
        self._has_password = bool(password)

    def checks(self) -> list[Check]:
        """List them; the last one takes `HELD` seconds."""
        return [
            *Connection(self._web, self._url).checks(),
            Check("an opencode", self._is_opencode),
            Check("opencode's password", self._password),
            Check("/auth/start is routed", lambda: self._routed("/auth/start")),
            Check("/auth/callback is routed", lambda: self._routed("/auth/callback")),
            Check("Authorization is stripped", self._stripped),
            Check("opencode's own /auth is its own", self._own),
            Check("a sign-in begins", self._begins),
            Check("a held request is not cut", self._held, slow=float(HELD)),
        ]

    def _is_opencode(self) -> str:
        found = self._web.get(f"{self._url}/.well-known/opencode-relay", auth=self._auth)
        if text_of(found).lstrip().startswith("{") and '"logins_endpoint"' in text_of(found):
            raise Wrong("This is a relay, not an opencode: name opencode's own public URL.")
        answer = self._web.get(f"{self._url}/global/health", auth=self._auth)
        if answer.status_code in _GATEWAY:
            raise Wrong(f"The proxy answers {answer.status_code}: opencode is not up.")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return "something that wants a password"
        if answer.status_code != httpx.codes.OK or '"healthy"' not in text_of(answer):
            raise Wrong(f"Something else answers there (status {answer.status_code}).")
        return f"version {answer.json().get('version')}"

    def _password(self) -> str:
        answer = self._web.get(f"{self._url}/global/health", auth=self._auth)
        if answer.status_code == httpx.codes.OK:
            return "accepted" if self._has_password else "none is needed"
        if self._has_password and answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Wrong(
                "opencode refuses what OPENCODE_SERVER_PASSWORD holds: give it the right one."
            )
        raise self._needs_password()

    def _needs_password(self) -> NotTried:
        return NotTried("give opencode's password in OPENCODE_SERVER_PASSWORD to try this")

    def _routed(self, path: str) -> str:
        answer = self._web.get(self._url + path)
        if answer.headers.get(MARK) == "instance":
            return "reaches the plugin's listener"
        if answer.status_code in _GATEWAY:
            raise Wrong(
                f"The proxy answers {answer.status_code}: the listener is not up. Open opencode "
                "once, and look in its log for a sentence that begins with opencode-relay."
            )
        raise Wrong(f"It reaches something else (status {answer.status_code}). {_ROUTE}")

    def _stripped(self) -> str:
        made_up = httpx.BasicAuth("opencode", "doctor")
        answer = self._web.get(f"{self._url}/auth/start", auth=made_up)
        if answer.headers.get(MARK) != "instance":
            raise NotTried("needs /auth/start to be routed")
        if PASSWORD_SEEN in answer.headers:
            raise Wrong(
                "opencode's password reaches the listener: have the proxy remove Authorization on "
                "the two paths."
            )
        return "the listener does not see opencode's password"

    def _own(self) -> str:
        answer = self._web.get(f"{self._url}/auth/doctor", auth=self._auth)
        if answer.headers.get(MARK) == "instance":
            raise Wrong(f"The proxy sends all of /auth/ to the listener. {_ROUTE}")
        if answer.status_code in _GATEWAY:
            raise Wrong(f"The proxy answers {answer.status_code}: opencode is not up.")
        return "reaches opencode"

    def _begins(self) -> str:
        """Go as far as to the identity provider; what the relay opens for it expires by itself."""
        link = urlsplit(self._begun())
        if link.netloc and f"{link.scheme}://{link.netloc}" != self._url:
            raise Wrong(
                "Sign-ins go by opencode's publicUrl: run doctor --instance with "
                f"{link.scheme}://{link.netloc}."
            )
        # A page of this very origin leads there in a browser: opencode's own.
        page = self._web.get(
            f"{self._url}/auth/start?{link.query}", headers={"Sec-Fetch-Site": "same-origin"}
        )
        if page.headers.get(MARK) != "instance":
            raise NotTried("needs /auth/start to be routed")
        if page.status_code != httpx.codes.FOUND:
            raise Wrong(_words_of(page))
        return "the relay opens it for this address"

    def _begun(self) -> str:
        """Begin a sign-in that nobody ends, and return its link."""
        answer = self._web.post(
            f"{self._url}/provider/{_PROVIDER}/oauth/authorize",
            json={"method": self._method()},
            auth=self._auth,
        )
        if answer.status_code != httpx.codes.OK:
            raise Wrong(
                f"opencode does not begin a sign-in (status {answer.status_code}): {_LOG}. Often "
                "the return URL is not registered at the relay."
            )
        link = str(answer.json().get("url"))
        if urlsplit(link).path != "/auth/start":
            raise Wrong(
                "Sign-ins do not come back to this address, because publicUrl is not set or cannot "
                f"be used: {_LOG}."
            )
        return link

    def _method(self) -> int:
        answer = self._web.get(f"{self._url}/provider/auth", auth=self._auth)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise self._needs_password()
        labels = [str(one["label"]) for one in answer.json().get(_PROVIDER, [])]
        if labels and labels[_RELAY_METHOD].endswith(_PASTING):
            raise Wrong(
                "Sign-ins end by pasting here: for ones that come back set the plugin's publicUrl, "
                "and catcher where people have a helper, by "
                f"{program.command('connect', '--public-url', self._url, '--catcher')}."
            )
        if not labels or " via relay" not in labels[_RELAY_METHOD]:
            raise Wrong(
                "This opencode has no plugin opencode-relay: it offers "
                + (", ".join(labels) or "nothing")
                + "."
            )
        return _RELAY_METHOD

    def _held(self) -> str:
        try:
            self._begun()
        except Wrong:
            raise NotTried("needs a sign-in that begins") from None
        try:
            answer = self._web.post(
                f"{self._url}/provider/{_PROVIDER}/oauth/callback",
                json={"method": _RELAY_METHOD},
                auth=self._auth,
                timeout=HELD,
            )
        except httpx.ReadTimeout:
            return f"held for {HELD} s"
        except httpx.TransportError as wrong:
            cut = type(wrong).__name__
        else:
            cut = f"status {answer.status_code}"
        raise Wrong(
            f"It was cut ({cut}) within {HELD} s: give opencode's requests at least 15 minutes "
            "(nginx: proxy_read_timeout 15m)."
        )


def _words_of(page: httpx.Response) -> str:
    """Return the plugin's own sentences."""
    parts = re.findall(r"<(?:h1|p)[^>]{0,100}>(.{1,1000}?)</(?:h1|p)>", text_of(page), re.DOTALL)
    words = [unescape(re.sub(r"<[^>]{0,200}>", "", part)).rstrip(".") for part in parts]
    return ". ".join(words[:3]) + "." if words else f"/auth/start answers {page.status_code}."
