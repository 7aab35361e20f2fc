"""The forms of JOSE that the relay writes itself: P-256 keys (RFC 7518 §6.2.1), compact parts.

Instances, whose answers come from elsewhere, verify and decrypt by libraries: see `unseal`. The
relay only writes, and a library for that takes a tenth of a cold start on AWS.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey


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
