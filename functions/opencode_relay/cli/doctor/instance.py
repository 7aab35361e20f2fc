"""`opencode-relay doctor --instance`: looks at the reverse proxy in front of an opencode.

The plugin's listener marks its answers with `Opencode-Relay: instance`, and says whether a request
still carried opencode's password.
"""

from __future__ import annotations

import os

import httpx

from opencode_relay import addresses

from .checks import Check, Finding, NotTried, Wrong, carry_out, certificate

MARK = "opencode-relay"
PASSWORD_SEEN = "opencode-relay-authorization"  # noqa: S105  # a header's name
HELD = 75  # seconds that a person takes at least; nginx gives up after 60 unless it is told
_GATEWAY = {502, 503, 504}
_ROUTE = (
    "Send exactly /auth/start and /auth/callback to the plugin's listener (127.0.0.1:4097 unless "
    "`listen` says otherwise): see infra/reverse-proxy."
)


class InstanceExamination:
    """The checks of an instance's public URL."""

    def __init__(self, web: httpx.Client, url: str) -> None:
        """Raises ConfigError where `url` is no origin."""
        self._web = web
        self._url = addresses.origin(url, "--instance")
        password = os.environ.get("OPENCODE_SERVER_PASSWORD")
        user = os.environ.get("OPENCODE_SERVER_USERNAME", "opencode")
        self._auth = httpx.BasicAuth(user, password) if password else httpx.Auth()

    def findings(self) -> list[Finding]:
        """Make every check that can be made; the last one takes `HELD` seconds."""
        checks: list[Check] = [
            ("certificate", lambda: certificate(self._url)),
            ("/auth/start is routed", lambda: self._routed("/auth/start")),
            ("/auth/callback is routed", lambda: self._routed("/auth/callback")),
            ("Authorization is stripped", self._stripped),
            ("opencode's own /auth is its own", self._own),
            ("a held request is not cut", self._held),
        ]
        return carry_out(checks, needed=1)

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

    def _held(self) -> str:
        """Begin a sign-in that nobody ends. With delivery redirect that opens no login yet."""
        post = f"{self._url}/provider/openai/oauth"
        begun = self._web.post(f"{post}/authorize", json={"method": 0}, auth=self._auth)
        if begun.status_code == httpx.codes.UNAUTHORIZED:
            raise NotTried("give opencode's password in OPENCODE_SERVER_PASSWORD to try this")
        if begun.status_code != httpx.codes.OK or "/auth/start" not in begun.text:
            raise NotTried("needs the plugin with `publicUrl`")
        try:
            answer = self._web.post(
                f"{post}/callback", json={"method": 0}, auth=self._auth, timeout=HELD
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
