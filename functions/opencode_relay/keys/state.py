"""Tokens that the relay makes for itself: the login's `state`, and the confirm page's token.

JWTs (RFC 7519) with HS256 and a key, a `typ` and an `aud` of their own purpose (RFC 8725 §3.11):
one is never accepted as the other.
"""

from __future__ import annotations

import hmac
import re
from functools import lru_cache
from typing import Any

import jwt

from opencode_relay.errors import Refused
from opencode_relay.secret import same

from .held import Keys
from .key import Purpose
from .p256 import base64url

_TYP = {Purpose.STATE: "login-state+jwt", Purpose.CONFIRM: "login-confirm+jwt"}
_AUD = {Purpose.STATE: "login-state", Purpose.CONFIRM: "login-confirm"}
_REQUIRED = ["iss", "aud", "jti", "iat", "exp"]
_LONGEST = 2048  # characters; a state has at most 500, a confirm token a few more


def _shape(typ: str) -> re.Pattern[str]:
    """Tell what cannot be ours before anything of it is parsed: a forged state costs little.

    The header's first bytes are the protocol's, and HS256 signs with 43 characters.
    """
    fixed = base64url(f'{{"typ":"{typ}","alg":"HS256"'.encode())
    whole = fixed[: len(fixed) // 4 * 4]  # characters that do not depend on what follows
    return re.compile(rf"{whole}[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{{43}}")


_SHAPES = {purpose: _shape(typ) for purpose, typ in _TYP.items()}


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
    header = {"typ": _TYP[purpose], "kid": key.kid}
    return jwt.encode(claims, key.symmetric, "HS256", header, sort_headers=False)


def read(keys: Keys, purpose: Purpose, issuer: str, token: str, now: float) -> dict[str, Any]:
    """Return the verified claims of a token.

    Raises Refused: `token-invalid` for whatever is not ours, and only then `login-expired`.
    """
    invalid = Refused("token-invalid")
    if len(token) > _LONGEST or not _SHAPES[purpose].fullmatch(token):
        raise invalid
    try:
        typ, kid = _header(token.partition(".")[0])
        key = keys.find(purpose, kid)
        if key is None or typ != _TYP[purpose]:
            raise invalid
        # Before PyJWT takes it apart: what strangers forge is not parsed, and costs little.
        signed, _, signature = token.rpartition(".")
        if not same(signature, base64url(hmac.digest(key.symmetric, signed.encode(), "sha256"))):
            raise invalid
        claims: dict[str, Any] = jwt.decode(
            token,
            key.symmetric,
            algorithms=["HS256"],
            audience=_AUD[purpose],
            issuer=issuer,
            options={
                "require": _REQUIRED,
                "strict_aud": True,
                "verify_exp": False,  # by the relay's clock, and with an answer of its own
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, KeyError):
        raise invalid from None
    if not isinstance(claims["exp"], int):
        raise invalid
    if now >= claims["exp"]:
        raise Refused("login-expired")
    return claims


@lru_cache(maxsize=64)
def _header(segment: str) -> tuple[str, str]:
    """Read `typ` and `kid`. Kept, for PyJWT looks at every character, and few headers are ours."""
    header = jwt.get_unverified_header(f"{segment}..")
    return header["typ"], header["kid"]


def unverified_issuer(token: str) -> str | None:
    """Read the `iss` that a state claims. A filter, never a check."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False})["iss"])
    except (jwt.PyJWTError, KeyError, RecursionError):
        return None
