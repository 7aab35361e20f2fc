"""`opencode-relay doctor --mcp`: whether people can sign in to an MCP server through a relay.

It goes as far as to the page that a person would see first. Nobody signs in.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence

import httpx

from opencode_relay import __version__
from opencode_relay.client import Client as Relay
from opencode_relay.errors import ConfigError

from .authorization import judge
from .checks import Check, Enough, Finding, NotTried, Wrong, why
from .metadata import VERSION, AuthorizationServer, Metadata, Resource, origin_of
from .registration import Client, delete, register
from .tls import Connection

LOCALHOST = (
    "http://localhost:1455/auth/callback"  # what the extension, the catcher or a paste carry
)
_REGISTRATION, _PAGE, _LOCAL_PAGE = (
    "registration",
    "its login page",
    "its login page with localhost",
)
_BY_HAND = "Sign in with the extension, the catcher, or by pasting the failed page's address."
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": VERSION,
        "capabilities": {},
        "clientInfo": {"name": "opencode-relay doctor", "version": __version__},
    },
}


class McpExamination:
    """The checks of an MCP server; without a relay, of signing in by way of localhost alone."""

    def __init__(self, web: httpx.Client, url: str, relay: str | None) -> None:
        """Raises ConfigError where `url` is no address, NotARelay where `relay` is no origin."""
        self._metadata = Metadata(web, url)
        try:
            self._url = self._metadata.usable(url, "URL")
        except (Wrong, ValueError):
            raise ConfigError(
                "--mcp must be an MCP server's whole https URL, such as "
                f"https://mcp.example.com/mcp (http is for loopback only), not {url[:100]!r}."
            ) from None
        self._web = web
        self._relay = Relay(relay, http=web) if relay is not None else None
        self._redirect_uri = self._challenge = ""
        self._document: str | None = None
        self._resource: Resource
        self._server: AuthorizationServer
        self._clients: dict[str, Client] = {}  # by redirect URI

    @property
    def needed(self) -> int:
        """How many of the checks must hold for the others to say anything."""
        return 6 if self._relay else 5

    def checks(self) -> list[Check]:
        """List them; the last two are made only where the relay's own way fails."""
        relay = self._relay
        through = [
            Check(_REGISTRATION, lambda: self._registered(self._redirect_uri)),
            Check(_PAGE, self._through_relay),
        ]
        return [
            *([Check("answers as a relay", lambda: self._discovery(relay))] if relay else []),
            *Connection(self._web, origin_of(self._url)).checks(),
            Check("wants a sign-in", self._wanted),
            Check("protected resource metadata", self._described),
            Check("authorization server metadata", self._authorization),
            *(through if relay else []),
            Check("registration with localhost", lambda: self._registered(LOCALHOST)),
            Check(_LOCAL_PAGE, self._by_hand),
        ]

    @staticmethod
    def sum_up(found: Sequence[Finding]) -> str | None:
        """Say what to do where only the relay's own way fails."""
        ok = {one.check: one.ok for one in found}
        wrong = {check for check, well in ok.items() if well is False}
        if not (wrong and wrong <= {_REGISTRATION, _PAGE} and ok.get(_LOCAL_PAGE)):
            return None
        line = "first line" if _REGISTRATION in wrong else "line “Refused the relay?”"
        return f"Through the relay: no. By pasting, or with a helper: yes, by opencode's {line}."

    def _discovery(self, relay: Relay) -> str:
        found = relay.discover()
        self._redirect_uri = found["redirect_uri"]
        self._document = found.get("client_metadata_uri")
        return f"its redirect URI is {self._redirect_uri}"

    def _wanted(self) -> str:
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION}
        # Only its head: what follows may be a stream without an end.
        with self._web.stream("POST", self._url, json=_INITIALIZE, headers=headers) as answer:
            status, told = answer.status_code, answer.headers
        if status == httpx.codes.UNAUTHORIZED:
            self._challenge = told.get("www-authenticate", "")
            return "yes"
        if answer.is_success:
            raise Enough("no: it lets anybody in, and there is nothing to sign in to")
        if answer.has_redirect_location:
            raise Wrong(f"It has moved: name {told['location'][:200]} instead.")
        raise Wrong(
            f"It answers {status} to what MCP clients ask first: name its whole URL, with the path."
        )

    def _described(self) -> str:
        self._resource = self._metadata.resource(self._challenge)
        if self._resource.name is None:
            return "none, as with older servers: the server itself is asked"
        return f"{self._resource.name}, of {self._resource.issuer}"

    def _authorization(self) -> str:
        self._server = found = self._metadata.server(self._resource.issuer)
        told = {
            "registers clients": bool(found.registration_endpoint),
            "takes client ID metadata documents": found.documents,
            "sends iss": found.sends_iss,
        }
        words = [words for words, true in told.items() if true] or ["registers no clients"]
        if origin_of(found.authorization_endpoint) != origin_of(self._url):
            words.append(f"people sign in at {origin_of(found.authorization_endpoint)}")
        return ", ".join(words)

    def _registered(self, redirect_uri: str) -> str:
        """Become a client; else by the relay's own document, which has no URI but the relay's."""
        if self._server.registration_endpoint:
            self._clients[redirect_uri] = register(
                self._web, self._metadata, self._server, redirect_uri, self._resource.scope
            )
            return f"takes {redirect_uri}"
        if not self._server.documents:
            raise Enough(
                f"it registers no clients: register one there with the redirect URI {redirect_uri} "
                "and name its clientId in opencode.json (mcp, NAME, oauth)",
                ok=None,
            )
        if self._document is None or redirect_uri == LOCALHOST:
            raise Enough(
                "it takes only clients whose ID is the https address of a document: name a relay "
                "that has one",
                ok=None,
            )
        self._clients[redirect_uri] = Client(self._document)
        return f"none is needed: the client ID is {self._document}"

    def _through_relay(self) -> str:
        try:
            seen = self._asked(self._redirect_uri)
        except NotTried as missing:
            if self._redirect_uri in self._clients:  # localhost would fare no better
                raise Enough(str(missing), ok=None) from None
            raise
        raise Enough(seen)

    def _by_hand(self) -> str:
        return f"{self._asked(LOCALHOST)} {_BY_HAND}"

    def _asked(self, redirect_uri: str) -> str:
        """Ask for a sign-in as a browser would, and look at the first answer."""
        client = self._clients.get(redirect_uri)
        if client is None:
            raise NotTried("needs a client")
        challenge = hashlib.sha256(secrets.token_bytes()).digest()
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "state": secrets.token_urlsafe(),
            "code_challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **({"scope": self._resource.scope} if self._resource.scope else {}),
            **({"resource": self._resource.name} if self._resource.name else {}),
        }
        at = httpx.URL(self._server.authorization_endpoint).copy_merge_params(asked)
        try:
            seen = judge(self._web.get(at), redirect_uri)
        except NotTried as missing:
            raise NotTried(f"{missing}.{delete(self._web, client)}") from None
        except Exception as wrong:  # noqa: BLE001  # whatever it is, the client is not to stay
            words = str(wrong) if isinstance(wrong, Wrong) else why(wrong)
            raise Wrong(f"{words}{delete(self._web, client)}") from None
        return f"{seen}.{delete(self._web, client)}"
