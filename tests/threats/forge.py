"""Tokens as an attacker, or a careless signer, would make them; with nothing changed, they pass."""

from __future__ import annotations

import json
import warnings
from typing import Any

import jwt
from joserfc import jwe
from jwt.warnings import InsecureKeyLengthWarning
from opencode_relay.keys.key import Purpose

from tests.threats.world import CODE, Opened, World

ABSENT = object()  # leaves a header or a claim out


def state(
    world: World, login: Opened, *, key: bytes | None = None, alg: str = "HS256", **changed: Any
) -> str:
    """Make a state of this relay for a login; `changed` names headers and claims."""
    own = world.ring.in_use(Purpose.STATE, world.clock())
    headers = {"typ": "login-state+jwt", "kid": own.kid}
    claims = {
        "iss": world.relay.issuer,
        "aud": "login-state",
        "jti": login.id,
        "iat": int(world.clock()),
        "exp": int(world.clock()) + 600,
    }
    secret = own.symmetric if key is None else key
    return _sign(headers, claims, changed, secret if alg != "none" else None, alg)


def response(
    world: World, login: Opened, *, key: Any = None, alg: str = "ES256", **changed: Any
) -> str:
    """Make a sealed response for a login, encrypted as it must be."""
    own = world.ring.in_use(Purpose.RESPONSE, world.clock())
    headers = {"typ": "login-response+jwt", "kid": own.kid}
    claims = {
        "iss": world.relay.issuer,
        "aud": login.id,
        "jti": login.id,
        "iat": int(world.clock()),
        "exp": int(world.clock()) + 600,
        "params": {"code": CODE},
    }
    signed = _sign(headers, claims, changed, own.private if key is None else key, alg)
    outer = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "kid": login.key.thumbprint()}
    outer |= {name: changed[name] for name in ("enc", "cty") if name in changed}
    outer = {name: value for name, value in outer.items() if value is not ABSENT}
    allowed = ["ECDH-ES", "A256GCM", "A128GCM"]
    return jwe.encrypt_compact(outer, signed, login.key, algorithms=allowed)


def _sign(
    headers: dict[str, Any], claims: dict[str, Any], changed: dict[str, Any], key: Any, alg: str
) -> str:
    def apply(to: dict[str, Any]) -> dict[str, Any]:
        mixed = {**to, **{name: value for name, value in changed.items() if name in to}}
        return {name: value for name, value in mixed.items() if value is not ABSENT}

    # PyJWT writes `typ: JWT` where it is left out; None makes it leave it out.
    headers = apply(headers)
    with warnings.catch_warnings():
        # HS512 with a key of 32 bytes: PyJWT warns, a forger does not listen.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        headers = {**headers, "typ": headers.get("typ")}
        payload = json.dumps(apply(claims)).encode()
        return jwt.PyJWS().encode(payload, key, alg, headers, sort_headers=False)
