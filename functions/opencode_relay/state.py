"""Tokens that the relay makes for itself: the login's `state`, and the confirm page's token.

JWTs (RFC 7519) with HS256 and a key, a `typ` and an `aud` of their own purpose (RFC 8725 §3.11):
one is never accepted as the other.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import jwt

from .errors import Refused
from .keyring import Keys, Purpose

_TYP = {Purpose.STATE: "login-state+jwt", Purpose.CONFIRM: "login-confirm+jwt"}
_AUD = {Purpose.STATE: "login-state", Purpose.CONFIRM: "login-confirm"}
_REQUIRED = ["iss", "aud", "jti", "iat", "exp"]
_LONGEST = 2048  # characters; a state has at most 500, a confirm token a few more


def make(
    keys: Keys, purpose: Purpose, issuer: str, login_id: str, now: float, exp: float, **more: str
) -> str:
    key = keys.ring.in_use(purpose, now)
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": _AUD[purpose],
        "jti": login_id,
        "iat": int(now),
        "exp": int(exp),
        **more,
    }
    # PyJWT writes `typ` and `alg` first: the bytes that the protocol fixes for a state.
    headers = {"typ": _TYP[purpose], "kid": key.kid}
    return jwt.encode(claims, key.symmetric, "HS256", headers, sort_headers=False)


def read(keys: Keys, purpose: Purpose, issuer: str, token: str, now: float) -> dict[str, Any]:
    """Return the verified claims of a token.

    Raises Refused: `token-invalid` for whatever is not ours, and only then `login-expired`.
    """
    invalid = Refused("token-invalid")
    try:
        if not token.isascii() or len(token) > _LONGEST:
            raise invalid
        header = jwt.get_unverified_header(token)
        key = keys.find(purpose, str(header.get("kid", "")))
        if key is None or header.get("typ") != _TYP[purpose]:
            raise invalid
        claims: dict[str, Any] = jwt.decode(
            token,
            key.symmetric,
            algorithms=["HS256"],
            audience=_AUD[purpose],
            issuer=issuer,
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError):
        raise invalid from None
    if now >= claims["exp"]:
        raise Refused("login-expired")
    return claims


def unverified_issuer(token: str) -> str | None:
    """Read the `iss` that a state claims. A filter, never a check."""
    try:
        part = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return str(claims["iss"])
    except (ValueError, LookupError, TypeError):
        return None
