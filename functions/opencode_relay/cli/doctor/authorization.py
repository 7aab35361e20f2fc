"""What the first answer to an authorization request tells of the redirect URI in it."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from .checks import NotTried, Wrong
from .web import text_of

_LONGEST = 200  # characters of a server's own words
_UNSEEN = re.compile(r"<(script|style)\b.*?(?:</\1\b|\Z)", re.IGNORECASE | re.DOTALL)
_HEADING = re.compile(r"<(title|h1)\b[^>]{0,200}>(.{1,300}?)</\1", re.IGNORECASE | re.DOTALL)
_URI = r"(?:redirect[ _-]?ur[il]|callback[ _-]?ur[il])"
_BAD = (
    r"(?:invalid|mismatch|unregistered|unknown|unsupported|unauthori[sz]ed"
    r"|(?:not|n['\u2019]t) (?:be )?"
    r"(?:allow|register|permit|support|valid|match|recogni[sz]e|accept))"
)
_REFUSED = re.compile(f"{_URI}.{{0,80}}{_BAD}|{_BAD}.{{0,80}}{_URI}", re.IGNORECASE)
# What firewalls answer to programs, and servers to whoever asks too much or too early.
_NOT_FOR_PROGRAMS = {403, 429, 503}


def judge(answer: httpx.Response, redirect_uri: str) -> str:
    """Return what a person sees first; nothing of it is followed. Raises Wrong or NotTried."""
    if answer.has_redirect_location:
        return _onward(urljoin(str(answer.url), answer.headers["location"]), redirect_uri)
    if answer.status_code == httpx.codes.UNAUTHORIZED and "www-authenticate" in answer.headers:
        return "the browser itself asks who signs in"
    if answer.status_code in _NOT_FOR_PROGRAMS:
        raise NotTried(
            f"it does not answer a program ({said(answer)}): begin a sign-in to see more"
        )
    if answer.status_code != httpx.codes.OK or _error(answer):
        raise Wrong(f"It refuses a sign-in with {redirect_uri} ({said(answer)}).")
    if _REFUSED.search(_seen(answer)):
        raise Wrong(f"Its page speaks of a redirect URI that it does not take ({said(answer)}).")
    return f"shows it ({said(answer)})"


def said(answer: httpx.Response) -> str:
    """Return the status, and the server's own words: RFC 6749's error, or a page's title."""
    words = _error(answer) or _title(answer)
    return f"{answer.status_code}: {words[:_LONGEST]}" if words else f"{answer.status_code}"


def _onward(location: str, redirect_uri: str) -> str:
    to = urlsplit(location)
    told = parse_qs(to.query) | parse_qs(to.fragment)
    if "error" in told:
        words = ": ".join(told["error"] + told.get("error_description", []))
        raise Wrong(f"It refuses a sign-in with {redirect_uri} ({words[:_LONGEST]}).")
    if location.partition("?")[0] == redirect_uri:
        return "lets in whoever comes, without a question"
    if to.scheme not in {"http", "https"} or not to.hostname:
        raise Wrong(f"It sends the person to no page: {location[:_LONGEST]}.")
    return f"sends the person on to {to.hostname}"


def _error(answer: httpx.Response) -> str:
    try:
        found = answer.json()
    except ValueError:
        return ""
    if not isinstance(found, dict) or "error" not in found:
        return ""
    return ": ".join(str(found[name]) for name in ("error", "error_description") if found.get(name))


def _title(answer: httpx.Response) -> str:
    found = _HEADING.search(text_of(answer))
    return " ".join(unescape(re.sub(r"<[^>]{0,200}>", "", found[2])).split()) if found else ""


def _seen(answer: httpx.Response) -> str:
    words = re.sub(r"<[^>]{0,2000}>", " ", _UNSEEN.sub(" ", text_of(answer)))
    return " ".join(unescape(words).split())
