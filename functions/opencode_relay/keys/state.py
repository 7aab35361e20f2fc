"""Tokens that the relay makes for itself: the login's `state`, and the confirm page's token.

JWTs (RFC 7519) with HS256 and a key, a `typ` and an `aud` of their own purpose (RFC 8725 §3.11):
one is never accepted as the other. Made and read here, not by PyJWT: their header is always the
same but for the `kid`, so that nothing a stranger sends is parsed before its signature is checked,
and a forged state costs little.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode
from typing import Any

from opencode_relay.errors import Refused
from opencode_relay.secret import same

from .held import Keys
from .key import Purpose
from .p256 import base64url, segment

_TYP = {Purpose.STATE: "login-state+jwt", Purpose.CONFIRM: "login-confirm+jwt"}
_AUD = {Purpose.STATE: "login-state", Purpose.CONFIRM: "login-confirm"}
_REQUIRED = {"iss", "aud", "jti", "iat", "exp"}
_LONGEST = 2048  # characters; a state has at most 500, a confirm token a few more
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")


def _header(purpose: Purpose, kid: str) -> str:
    """The bytes that the protocol fixes for a state, and their like for the other token."""
    return f'{{"typ":"{_TYP[purpose]}","alg":"HS256","kid":"{kid}"}}'


def make(
    keys: Keys, purpose: Purpose, issuer: str, login_id: str, now: float, exp: float, **more: str
) -> str:
    key = keys.ring.in_use(purpose, now)
    claims = {
        "iss": issuer,
        "aud": _AUD[purpose],
        "jti": login_id,
        "iat": int(now),
        "exp": int(exp),
        **more,
    }
    signed = f"{base64url(_header(purpose, key.kid).encode())}.{segment(claims)}"
    return f"{signed}.{_signature(key.symmetric, signed)}"


def read(keys: Keys, purpose: Purpose, issuer: str, token: str, now: float) -> dict[str, Any]:
    """Return the verified claims of a token.

    Raises Refused: `token-invalid` for whatever is not ours, and only then `login-expired`.
    """
    invalid = Refused("token-invalid")
    parts = _TOKEN.fullmatch(token) if len(token) <= _LONGEST else None
    if parts is None:
        raise invalid
    header, payload, signature = parts.groups()
    try:
        text = _decoded(header)
    except ValueError:
        raise invalid from None
    start, end = _header(purpose, "|").split("|")
    key = keys.find(purpose, text.removeprefix(start).removesuffix(end))
    if key is None or text != _header(purpose, key.kid):
        raise invalid
    if not same(signature, _signature(key.symmetric, f"{header}.{payload}")):
        raise invalid
    claims: dict[str, Any] = json.loads(_decoded(payload))
    if not claims.keys() >= _REQUIRED:
        raise invalid
    if claims["iss"] != issuer or claims["aud"] != _AUD[purpose]:
        raise invalid
    if now >= claims["exp"]:
        raise Refused("login-expired")
    return claims


def unverified_issuer(token: str) -> str | None:
    """Read the `iss` that a state claims. A filter, never a check."""
    try:
        return str(json.loads(_decoded(token.split(".")[1]))["iss"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _signature(secret: bytes, signed: str) -> str:
    return base64url(hmac.digest(secret, signed.encode(), "sha256"))


def _decoded(part: str) -> str:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
