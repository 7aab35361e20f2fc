"""P-256 keys and their JWKs (RFC 7518 §6.2.1), and the compact parts of a JWE."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (SEC 2)


def new_private_key() -> EllipticCurvePrivateKey:
    """Make a P-256 key of the kernel's random numbers.

    OpenSSL keeps a generator of its own in memory, and every copy of a Lambda snapshot that holds
    it would make the same "random" keys.
    """
    return derive_private_key(1 + secrets.randbelow(_ORDER - 1), SECP256R1())


def base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def segment(members: Mapping[str, object]) -> str:
    """Return a header or claims as they stand in a compact JWS or JWE."""
    return base64url(json.dumps(members, separators=(",", ":")).encode())


def public_key(x: str, y: str) -> EllipticCurvePublicKey:
    """Make the key of two coordinates in base64url. Raises ValueError: not on the curve."""
    point = b"\4" + b"".join(urlsafe_b64decode(part + "=") for part in (x, y))  # SEC 1 §2.3.4
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)


def public_jwk(key: EllipticCurvePublicKey) -> dict[str, str]:
    """Return the required members in the order of RFC 7638."""
    point = key.public_numbers()
    x, y = (base64url(part.to_bytes(32)) for part in (point.x, point.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}
