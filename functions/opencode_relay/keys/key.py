"""A key of the relay's own: one per purpose, and worth nothing for another."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from .p256 import new_private_key, public_jwk


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
            material = secrets.token_hex(32)
        return cls.load(secrets.token_urlsafe(6), purpose, used_from, material)

    @classmethod
    def load(cls, kid: str, purpose: str, used_from: float, material: str) -> Key:
        if purpose == Purpose.RESPONSE:
            private = load_pem_private_key(material.encode(), None)
            if not isinstance(private, EllipticCurvePrivateKey):
                raise ValueError("not an EC key")
            return cls(kid, Purpose.RESPONSE, used_from, material, private=private)
        return cls(kid, Purpose(purpose), used_from, material, symmetric=bytes.fromhex(material))

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
