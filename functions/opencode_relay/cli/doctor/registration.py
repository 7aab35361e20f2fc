"""A client of an authorization server: registered (RFC 7591), and deleted again (RFC 7592)."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from opencode_relay.secret import Secret

from .authorization import said
from .checks import Wrong
from .metadata import AuthorizationServer, Metadata, origin_of

_NAME = "opencode-relay doctor"


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks for a sign-in; `manage` is where, and with what, one made here can be deleted."""

    client_id: str
    made: bool = False
    manage: tuple[str, Secret] | None = None


def register(
    web: httpx.Client,
    metadata: Metadata,
    server: AuthorizationServer,
    redirect_uri: str,
    scope: str | None,
) -> Client:
    """Register as the plugin does. Raises Wrong with the server's own words."""
    wanted = {
        "client_name": _NAME,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": server.auth_method,
        # OpenID Connect lets "web", the default, have no http on localhost.
        "application_type": "web" if redirect_uri.startswith("https://") else "native",
    }
    endpoint = server.registration_endpoint
    answer = web.post(endpoint, json=wanted | ({"scope": scope} if scope else {}))
    if answer.status_code not in {httpx.codes.CREATED, httpx.codes.OK}:
        raise Wrong(f"It does not register {redirect_uri} ({said(answer)}).")
    made = answer.json()
    client_id = made["client_id"]
    if not isinstance(client_id, str) or not client_id:
        raise Wrong("It registers a client without a client_id.")
    client = Client(client_id, made=True, manage=_manage(metadata, endpoint, made))
    if redirect_uri not in (made.get("redirect_uris") or [redirect_uri]):
        raise Wrong(f"It registers another redirect URI than {redirect_uri}.{delete(web, client)}")
    return client


def delete(web: httpx.Client, client: Client) -> str:
    """Delete what was registered, and say whether it is gone; nothing where nothing was."""
    if not client.made:
        return ""
    if client.manage is None:
        return (
            f" The client “{_NAME}” stays registered there: the server tells no way to delete it."
        )
    url, token = client.manage
    answer = web.delete(url, headers={"Authorization": f"Bearer {token.reveal()}"})
    if answer.status_code != httpx.codes.NO_CONTENT:
        return f" The client “{_NAME}” stays registered there: to delete it fails ({said(answer)})."
    return " The client that was registered there is deleted again."


def _manage(
    metadata: Metadata, endpoint: str, made: dict[str, object]
) -> tuple[str, Secret] | None:
    token = made.get("registration_access_token")
    try:
        url = metadata.usable(made.get("registration_client_uri"), "registration_client_uri")
    except (Wrong, ValueError):
        return None
    # A token is for who gave it.
    own = origin_of(url) == origin_of(endpoint)
    return (url, Secret(token)) if own and isinstance(token, str) else None
