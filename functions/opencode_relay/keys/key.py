"""A key of the relay's own: one per purpose, and worth nothing for another."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from .p256 import new_private_key, public_jwk

_BYTES = 32  # of a symmetric key
_FAR = 1e12  # seconds: no moment is so far away, and a number beyond may not even compare


class Purpose(StrEnum):
    STATE = "state"
    CONFIRM = "confirm"
    PAIRING = "pairing"
    COMPLETION = "completion"
    FINGERPRINT = "fingerprint"
    RESPONSE = "response"  # the only one that is no symmetric key: ES256, public in the JWKS


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `used_from` is in Unix seconds."""

    kid: str
    purpose: Purpose
    used_from: float
    material: str = field(repr=False)  # PEM for ES256, otherwise base16 of 32 bytes
    symmetric: bytes = field(repr=False, default=b"")
    private: EllipticCurvePrivateKey | None = field(repr=False, default=None)

    @classmethod
    def new(cls, purpose: Purpose, used_from: float) -> Key:
        if purpose is Purpose.RESPONSE:
            material = (
                new_private_key()
                .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                .decode()
            )
        else:
            material = secrets.token_hex(_BYTES)
        return cls.load(secrets.token_urlsafe(6), purpose, used_from, material)

    @classmethod
    def load(cls, kid: Any, purpose: Any, used_from: Any, material: Any) -> Key:
        """Read a row, whoever wrote it. Raises ValueError or TypeError where it is no key."""
        if not (isinstance(kid, str) and isinstance(material, str) and -_FAR < used_from < _FAR):
            raise ValueError("not a key")
        if purpose == Purpose.RESPONSE:
            private = _p256(material)
            return cls(kid, Purpose.RESPONSE, used_from, material, private=private)
        symmetric = bytes.fromhex(material)
        if len(symmetric) != _BYTES:  # an empty one would sign, too
            raise ValueError("not a symmetric key")
        return cls(kid, Purpose(purpose), used_from, material, symmetric=symmetric)

    def row(self) -> dict[str, Any]:
        """What `load` takes."""
        return {
            "kid": self.kid,
            "purpose": self.purpose,
            "used_from": self.used_from,
            "material": self.material,
        }

    def public_jwk(self) -> dict[str, Any]:
        if self.private is None:
            raise ValueError("a symmetric key has no public part")
        public = public_jwk(self.private.public_key())
        return {**public, "kid": self.kid, "use": "sig", "alg": "ES256"}


def _p256(pem: str) -> EllipticCurvePrivateKey:
    try:
        private = load_pem_private_key(pem.encode(), None)
    except UnsupportedAlgorithm:
        raise ValueError("not an EC key") from None
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise TypeError("not a P-256 key")
    return private
