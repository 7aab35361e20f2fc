"""Who signs people in to an MCP server: RFC 9728, RFC 8414, OpenID Connect Discovery.

A server that is looked at may name any address. Redirects are followed on their own origin only,
and nothing of this machine is asked because a server elsewhere says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from opencode_relay import addresses

from .checks import Wrong

VERSION = "2025-06-18"  # of MCP; its later ones ask for no other metadata
_ADDRESS = re.compile(r"[!-\[\]-~]{1,2000}")
_REDIRECTS = 3
_RESOURCE = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class Resource:
    """What a server says of itself. `name` is RFC 8707's `resource`, None where it says nothing."""

    name: str | None
    issuer: str
    scope: str | None


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """Where people sign in; `documents` where it takes client ID metadata documents.

    `auth_method` is how the plugin's client proves itself: as a public one unless that is ruled
    out.
    """

    authorization_endpoint: str
    registration_endpoint: str  # empty where it registers nobody
    auth_method: str
    documents: bool
    sends_iss: bool


class Metadata:
    """Reads what an MCP server and its authorization server publish."""

    def __init__(self, web: httpx.Client, url: str) -> None:
        self._web = web
        self._url = url
        self._near = addresses.nearness(urlsplit(url).hostname or "")

    def usable(self, url: object, what: str) -> str:
        """Return an address that may be asked. Raises Wrong, naming `what`."""
        if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
            raise Wrong(f"Its {what} is no address: {str(url)[:100]!r}.")
        parts = urlsplit(url)
        if not parts.hostname or parts.username is not None or parts.fragment:
            raise Wrong(f"Its {what} is no address of a server: {url[:200]}.")
        if not addresses.secure(url):
            raise Wrong(
                f"Its {what} is not https: {url[:200]}. Often a server behind a proxy does not "
                "know its own public address."
            )
        if addresses.nearness(parts.hostname) > self._near:
            raise Wrong(f"Its {what} is on whatever machine asks, or behind it: {url[:200]}.")
        return url

    def resource(self, challenge: str) -> Resource:
        """Read the protected resource metadata; `challenge` is the server's WWW-Authenticate."""
        named = _parameter(challenge, "resource_metadata")
        if named:
            at = self.usable(named, "resource_metadata")
            found = self._object(at)
            if found is None:
                raise Wrong(f"It names its metadata at {named[:200]}, and there is none.")
        else:
            for at in _well_known(self._url):
                if (found := self._object(at)) is not None:
                    break
        scope = _parameter(challenge, "scope")
        if found is None:  # older servers sign people in themselves
            return Resource(None, f"{origin_of(self._url)}/", scope)
        resource = self.usable(found.get("resource"), "resource")
        if not _describes(resource, self._url, at):
            raise Wrong(
                f"Its metadata is of another resource, {resource[:200]}: it is to be the address "
                "that was asked (RFC 9728 section 3.3)."
            )
        issuers = found.get("authorization_servers")
        issuer = issuers[0] if isinstance(issuers, list) and issuers else f"{origin_of(self._url)}/"
        scopes = found.get("scopes_supported")
        if not scope and isinstance(scopes, list):
            scope = " ".join(one for one in scopes if isinstance(one, str))
        return Resource(resource, self.usable(issuer, "authorization server"), scope or None)

    def server(self, issuer: str) -> AuthorizationServer:
        """Read the authorization server's metadata."""
        found = self._first(_of_issuer(issuer))
        if found is None:
            raise Wrong(
                f"{issuer[:200]} publishes no metadata: perhaps there is no sign-in, and opencode "
                "is to send a key (`headers` in opencode.json)."
            )
        named = str(found.get("issuer"))
        # RFC 8414 section 3.3; a last slash may differ, which some SDKs add.
        if named.removesuffix("/") != issuer.removesuffix("/"):
            raise Wrong(
                f"It is asked as {issuer[:200]} and calls itself {named[:200]}: whose metadata it "
                "is nobody can tell (RFC 8414 section 3.3)."
            )
        for name, needed in (
            ("response_types_supported", "code"),
            ("code_challenge_methods_supported", "S256"),
        ):
            offered = found.get(name, [needed])
            if not isinstance(offered, list) or needed not in offered:
                raise Wrong(f"Its {name} lacks {needed}, which opencode and the plugin need.")
        sends_iss = found.get("authorization_response_iss_parameter_supported") is True
        for name in ("token_endpoint", "authorization_endpoint"):
            endpoint = self.usable(found.get(name), name)
            if not sends_iss and not _beside(endpoint, named):
                raise Wrong(
                    f"Its {name} is not at its issuer {named[:200]}: {endpoint[:200]}. Such a "
                    "server must announce and send iss (RFC 9207), or its answers may be another's."
                )
        registration = found.get("registration_endpoint")
        return AuthorizationServer(
            endpoint,
            self.usable(registration, "registration_endpoint") if registration else "",
            _auth_method(found.get("token_endpoint_auth_methods_supported")),
            found.get("client_id_metadata_document_supported") is True,
            sends_iss,
        )

    def _first(self, urls: Iterable[str]) -> dict[str, Any] | None:
        return next((one for one in map(self._object, urls) if one is not None), None)

    def _object(self, url: str) -> dict[str, Any] | None:
        headers = {"Accept": "application/json", "MCP-Protocol-Version": VERSION}
        for _ in range(_REDIRECTS):
            answer = self._web.get(url, headers=headers)
            if not answer.has_redirect_location:
                break
            onward = urljoin(url, answer.headers["location"])
            if origin_of(onward) != origin_of(url):
                return None
            url = self.usable(onward, "redirect")
        try:
            found = answer.json() if answer.status_code == httpx.codes.OK else None
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def _auth_method(offered: object) -> str:
    named = [one for one in offered if isinstance(one, str)] if isinstance(offered, list) else []
    secret = next((one for one in named if one.startswith("client_secret_")), "none")
    return secret if named and "none" not in named else "none"


def _parameter(challenge: str, name: str) -> str | None:
    found = re.search(rf'\b{name}=(?:"([^"]{{1,2000}})"|([^\s,"]{{1,2000}}))', challenge)
    return found and (found[1] or found[2])


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _well_known(url: str) -> list[str]:
    """Below the path first (RFC 9728 section 3.1), then without it."""
    origin, path = origin_of(url), urlsplit(url).path.rstrip("/")
    return list(dict.fromkeys(f"{origin}{_RESOURCE}{one}" for one in (path, "")))


def _of_issuer(issuer: str) -> list[str]:
    origin, path = origin_of(issuer), urlsplit(issuer).path.rstrip("/")
    return list(
        dict.fromkeys(
            (
                f"{origin}/.well-known/oauth-authorization-server{path}",
                f"{origin}/.well-known/openid-configuration{path}",
                f"{origin}{path}/.well-known/openid-configuration",
            )
        )
    )


def _describes(resource: str, url: str, at: str) -> bool:
    """Whether a resource is the server, or that whose metadata is at `at`; a last slash aside."""

    def plain(one: str) -> str:
        return (origin_of(one).lower() + urlsplit(one).path).rstrip("/")

    origin, path = origin_of(url), urlsplit(at).path
    known = origin_of(at) == origin and path.startswith(_RESOURCE)
    asked = f"{origin}{path.removeprefix(_RESOURCE)}" if known else url
    same = plain(resource) in {plain(url), plain(asked)}
    return same and urlsplit(resource).query in {"", urlsplit(url).query}


def _beside(one: str, other: str) -> bool:
    """Whether two are at one host and port, or one's host is below the other's."""
    parts = [urlsplit(url) for url in (one, other)]
    below, above = sorted(((part.hostname or "") for part in parts), key=len, reverse=True)
    if len({(part.scheme, part.port) for part in parts}) > 1:
        return False
    return below == above or ("." in above and below.endswith(f".{above}"))
