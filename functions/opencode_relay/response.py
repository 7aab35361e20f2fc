"""The sealed response: signed by the relay, then encrypted to the key of one login.

JARM's order (sign, then encrypt), compact JWS (RFC 7515, ES256) in compact JWE (RFC 7516, ECDH-ES
with A256GCM). Algorithms are pinned on both sides, never taken from the message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDH
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from .errors import RelayError
from .keys.held import Keys
from .keys.key import Purpose
from .keys.p256 import base64url, new_private_key, public_jwk, public_key, segment

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

TYP = "login-response+jwt"
# RFC 7518 §4.6.2: the algorithm and its length, no names of the parties, and the key's bits.
_KEY_INFO = b"\0\0\0\x07A256GCM" + bytes(8) + (256).to_bytes(4)
LEEWAY = 120  # seconds of difference between two clocks (protocol, sealed response)


class SealError(RelayError):
    """A sealed response that must not be used; the sentence says which check it failed."""


class UnknownKeyError(SealError):
    """The response names a `kid` that is not in the key set at hand: a newer set may have it."""


def seal(
    keys: Keys,
    *,
    issuer: str,
    login_id: str,
    encryption_key: str,
    params: Mapping[str, str],
    now: float,
    exp: float,
) -> str:
    """Sign `params` for a login and encrypt them to its key (a canonical JWK)."""
    key = keys.ring.in_use(Purpose.RESPONSE, now)
    if key.private is None:
        raise TypeError("the response key is not an ES256 key")
    claims = {
        "iss": issuer,
        "aud": login_id,
        "jti": login_id,
        "iat": int(now),
        "exp": int(exp),
        "params": dict(params),
    }
    header = {"typ": TYP, "kid": key.kid}
    signed = jwt.encode(claims, key.private, "ES256", header, sort_headers=False)
    return _encrypt(signed, encryption_key)


def _encrypt(token: str, recipient: str) -> str:
    """Encrypt to a canonical JWK: ECDH-ES (RFC 7518 §4.6), which names no key but agrees on it.

    Made here, opened by joserfc: its own making takes half as long again, a cold start with it is
    over what is allowed (docs/performance.md), and it draws the ephemeral key from OpenSSL's
    generator, which copies of a Lambda snapshot share. Random numbers are the kernel's: see
    `new_private_key`.
    """
    ephemeral = new_private_key()
    to = json.loads(recipient)
    public = public_key(to["x"], to["y"])
    key = ConcatKDFHash(SHA256(), 32, _KEY_INFO).derive(ephemeral.exchange(ECDH(), public))
    header = {
        "alg": "ECDH-ES",
        "enc": "A256GCM",
        "cty": "JWT",
        "kid": base64url(sha256(recipient.encode()).digest()),  # RFC 7638
        "epk": public_jwk(ephemeral.public_key()),
    }
    protected = segment(header)
    iv = os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, token.encode(), protected.encode())
    text, tag = sealed[:-16], sealed[-16:]
    return ".".join((protected, "", base64url(iv), base64url(text), base64url(tag)))


def unseal(
    sealed: str,
    *,
    private_key: ECKey,
    find: Callable[[str], Mapping[str, Any] | None],
    issuer: str,
    login_id: str,
    now: float,
    idp_issuer: str | None = None,
) -> dict[str, str]:
    """Open a sealed response with every check that the protocol lists, and return `params`.

    `find` gives the JWKS entry of a `kid`, from the configured issuer only. `idp_issuer` is set
    where the IdP is known to send RFC 9207 `iss`. Raises SealError, which never shows a parameter.
    """
    # The relay itself opens nothing: it need not import what does.
    from joserfc import jwe  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415

    try:
        opened = jwe.decrypt_compact(sealed, private_key, algorithms=["ECDH-ES", "A256GCM"])
        header = opened.headers()
        if header["alg"] != "ECDH-ES" or header["enc"] != "A256GCM":
            raise SealError("The response is encrypted by another algorithm than the protocol's.")
        if header.get("cty") != "JWT" or header.get("kid") != private_key.thumbprint():
            raise SealError("The response is not encrypted as the protocol says (cty, kid).")
        token = (opened.plaintext or b"").decode("ascii")
        inner = jwt.get_unverified_header(token)
        if inner.get("typ") != TYP or inner.get("alg") != "ES256":
            raise SealError("The response is not signed as the protocol says (typ, alg).")
        jwk = find(str(inner.get("kid", "")))
        if jwk is None:
            raise UnknownKeyError("The relay's key set lacks the key of this response.")
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK.from_dict(dict(jwk), "ES256"),
            algorithms=["ES256"],
            audience=login_id,
            issuer=issuer,
            options={
                "require": ["iss", "aud", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "strict_aud": True,
            },
        )
    except (JoseError, jwt.PyJWTError, ValueError, KeyError, TypeError) as wrong:
        raise SealError(f"The response does not verify ({type(wrong).__name__}).") from None
    if not isinstance(claims["exp"], int | float):
        raise SealError("The response does not say when it expires.")
    if now >= claims["exp"] + LEEWAY:
        raise SealError("The response has expired: compare this machine's clock with the relay's.")
    return _params(claims.get("params"), idp_issuer)


def _params(params: object, idp_issuer: str | None) -> dict[str, str]:
    if not isinstance(params, dict) or not all(isinstance(v, str) for v in params.values()):
        raise SealError("The response has no parameters.")
    # RFC 9207: where an issuer is expected, a missing one is a mix-up too.
    if idp_issuer is not None and params.get("iss") != idp_issuer:
        raise SealError("The response comes from another identity provider, or does not say which.")
    return dict(params)
