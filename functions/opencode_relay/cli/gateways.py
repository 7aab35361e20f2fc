"""Gateways of one's own: what the plugin would refuse of them, and what they lack elsewhere."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import urlsplit

import httpx

from opencode_relay import addresses
from opencode_relay.names import display_name

from .doctor.checks import Check, NotTried, Wrong
from .folder import Folder

LIKE = '[{"id": "work", "issuer": "https://sso.example.com", "clientId": "opencode"}]'
MEMBERS = ("id", "issuer", "clientId", "scope", "name")
MOST = 8
# Which opencode signs in to, or asks in a way of its own; and the plugin's own line.
OPENCODES_OWN = {
    *("amazon-bedrock", "anthropic", "azure", "azure-cognitive-services", "cerebras"),
    *("cloudflare-ai-gateway", "cloudflare-workers-ai", "digitalocean", "github-copilot"),
    *("gitlab", "google-vertex", "google-vertex-anthropic", "kilo", "llmgateway"),
    *("mcp-servers", "meta", "nvidia", "openai", "opencode", "openrouter", "poe"),
    *("sap-ai-core", "snowflake-cortex", "vercel", "xai", "zenmux"),
}
_FORMS = {
    "id": (re.compile(r"[a-z\d][a-z\d._-]{0,63}"), "be a provider's id in opencode.json"),
    "issuer": (
        re.compile(r"https?://[^/?#@\s]+(/[^?#@\s]*)?"),
        "be the https URL by which the identity provider calls itself",
    ),
    "clientId": (re.compile(r"[\x20-\x7e]+"), "be set"),
    # RFC 6749 section 3.3
    "scope": (re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*"), "be words with one space between"),
}
_NEEDED = ("id", "issuer", "clientId")
_LONGEST_NAME = 40  # characters


def checks(web: httpx.Client, folder: Folder, entries: object) -> list[Check]:
    """List them: the first must hold for the others to say anything."""
    good = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return [
        Check("gateways", lambda: _read(entries)),
        *(Check(f"gateway {one.get('id')}", partial(_look, web, folder, one)) for one in good),
    ]


def _read(entries: object) -> str:
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise Wrong(f"They must be a list such as {LIKE}.")
    if len(entries) > MOST:
        raise Wrong(f"They are {len(entries)}: {MOST} may be set.")
    for number, entry in enumerate(entries, 1):
        if wrong := _wrong(entry):
            raise Wrong(f"Entry {number}: {wrong}.")
    ids = [one["id"] for one in entries]
    if twice := next((one for one in ids if ids.count(one) > 1), None):
        raise Wrong(f"Two have the id {twice!r}.")
    return ", ".join(ids) or "none"


def _wrong(entry: dict[str, object]) -> str | None:
    for name, value in entry.items():
        if name not in MEMBERS:
            return f"{name!r} is unknown: known are {', '.join(MEMBERS)}"
        if not isinstance(value, str):
            return f"{name!r} must be a text"
    text = {name: str(entry.get(name, "")) for name in MEMBERS}
    for name, (form, must) in _FORMS.items():
        if (name in _NEEDED or text[name]) and not form.fullmatch(text[name]):
            return f"{name!r} must {must}"
    if text["id"] in OPENCODES_OWN:
        return (
            f"{text['id']!r} is taken by opencode, or by the plugin, for something else: give the "
            "provider in opencode.json an id of its own, such as 'work'"
        )
    if not addresses.secure(text["issuer"]):
        return "'issuer' must be https; http is for loopback only"
    unfit = text["name"] and display_name(text["name"], longest=_LONGEST_NAME)
    return f"'name' {unfit}" if unfit else None


def _look(web: httpx.Client, folder: Folder, entry: dict[str, str]) -> str:
    """Raises Wrong where the plugin would refuse the issuer, NotTried where that is not known."""
    issuer = entry["issuer"]
    named = _named_at(web, issuer)
    if issuer not in named:
        raise Wrong(f"It calls itself {' or '.join(named)}: write that as issuer, not {issuer}.")
    if not folder.has_base_url(entry["id"]):
        raise NotTried(
            f"{folder.config / 'opencode.json'} has no provider {entry['id']!r} with a baseURL: "
            "opencode shows no line for it until it has"
        )
    return f"{issuer} answers, and opencode.json has it"


def _named_at(web: httpx.Client, issuer: str) -> list[str]:
    """Return who an identity provider says that it is, where the plugin will look it up."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.removesuffix("/")
    named = []
    for url in (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    ):
        try:
            answer = web.get(url)
            found = answer.json() if answer.status_code == httpx.codes.OK else None
        except httpx.HTTPError as wrong:
            raise NotTried(f"nobody can sign in while {issuer} does not answer: {wrong}") from None
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("issuer"), str):
            named.append(found["issuer"][:200])
    if not named:
        raise NotTried(f"nobody can sign in while {issuer} publishes no metadata of an issuer")
    return named
