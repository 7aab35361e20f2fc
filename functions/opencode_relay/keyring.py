"""The relay's own keys: one per purpose, so that what is made for one is worth nothing for another.

A new key is published at once and used only `HEAD_START` seconds later, when every process and
every cache of the JWKS knows it; an old one stays until everything made with it has expired.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from . import jose
from .errors import StoreUnavailable

HEAD_START = 15 * 60  # seconds that a key is known before it is used (protocol, JWKS)
BACKDATED = 5 * 60  # seconds, so that a clock that is behind, or set back, has a first key too
KEPT = 60 * 60  # seconds an old key stays: the longest login, its release, and clocks that differ
MAX_AGE = 90 * 24 * 3600  # seconds after which `serve` rotates by itself
LOOK_AGAIN = 60  # seconds at least between two look-ups that strangers can cause
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (SEC 2)


def new_private_key() -> EllipticCurvePrivateKey:
    """Make a P-256 key of the kernel's random numbers.

    OpenSSL keeps a generator of its own in memory, and every copy of a Lambda snapshot that holds
    it would make the same "random" keys.
    """
    return derive_private_key(1 + secrets.randbelow(_ORDER - 1), SECP256R1())


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
        public = jose.public_jwk(self.private.public_key())
        return {**public, "kid": self.kid, "use": "sig", "alg": "ES256"}


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys at one moment. Immutable: rotation makes another ring."""

    keys: tuple[Key, ...]

    @classmethod
    def fresh(cls, now: float) -> Ring:
        """Make the first ring of a new store: nobody holds an older one, so it is used at once."""
        return cls(tuple(Key.new(purpose, now) for purpose in Purpose))

    def rotated(self, now: float) -> Ring:
        """Add a key for each purpose, and drop what nothing alive was made with."""
        new = tuple(Key.new(purpose, now + HEAD_START) for purpose in Purpose)
        return Ring(self.pruned(now).keys + new)

    def pruned(self, now: float) -> Ring:
        return Ring(tuple(key for key in self.keys if not self._outlived(key, now)))

    def in_use(self, purpose: Purpose, when: float) -> Key:
        """Return the key that was in use at that time. Raises StoreUnavailable where none was."""
        ready = [k for k in self.keys if k.purpose is purpose and k.used_from <= when]
        if not ready:
            raise StoreUnavailable(
                "No key was in use at that time: the keys were replaced, or the clock was set back."
            )
        return max(ready, key=lambda key: key.used_from)

    def find(self, purpose: Purpose, kid: str) -> Key | None:
        return next((k for k in self.keys if k.purpose is purpose and k.kid == kid), None)

    def tended(self, now: float) -> Ring:
        """Rotate where a purpose's newest key is `MAX_AGE` old; else drop what is outlived."""
        newest = (max(k.used_from for k in self.keys if k.purpose is p) for p in Purpose)
        return self.rotated(now) if min(newest) + MAX_AGE <= now else self.pruned(now)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [k.public_jwk() for k in self.keys if k.purpose is Purpose.RESPONSE]}

    def standing(self, key: Key, now: float) -> str:
        if key.used_from > now:
            return "upcoming"
        return "in use" if key == self.in_use(key.purpose, now) else "retired"

    def _outlived(self, key: Key, now: float) -> bool:
        later = [
            k.used_from
            for k in self.keys
            if k.purpose is key.purpose and k.used_from > key.used_from
        ]
        return bool(later) and min(later) + KEPT <= now

    def dump(self) -> str:
        return json.dumps({"version": 1, "keys": [key.row() for key in self.keys]}, indent=1)

    @classmethod
    def parse(cls, text: str) -> Ring:
        """Read a dumped ring. Raises StoreUnavailable, which does not show the text."""
        try:
            rows: Iterable[dict[str, Any]] = json.loads(text)["keys"]
            ring = cls(tuple(Key.load(**row) for row in rows))
        except (ValueError, TypeError, KeyError):
            ring = cls(())
        if {key.purpose for key in ring.keys} != set(Purpose):
            raise StoreUnavailable("The key ring is damaged: restore it, or remove it.")
        return ring


class Keys:
    """The ring that this process holds, and the one rule about fetching another."""

    def __init__(self, load: Callable[[], Ring], clock: Callable[[], float] = time.time) -> None:
        self._load = load
        self._clock = clock
        self._looked = self._checked = float("-inf")

    @cached_property
    def ring(self) -> Ring:
        """Read at first use, so that a Lambda snapshot holds no key. Raises StoreUnavailable."""
        return self._load()

    def refresh(self) -> None:
        """Take up the newest ring; if that fails the old one stays. Raises StoreUnavailable."""
        self.ring = self._load()

    def check(self) -> None:
        """Read the keys for the health endpoint; what was read in the last minute counts.

        Raises StoreUnavailable.
        """
        now = self._clock()
        if now >= self._checked + LOOK_AGAIN:
            self.refresh()
            self._checked = now

    def find(self, purpose: Purpose, kid: str) -> Key | None:
        """Look a key up; for an unknown one, look for new keys at most once a minute.

        Strangers choose the `kid`: without the limit every request of theirs would cost a fetch.
        """
        found = self.ring.find(purpose, kid)
        now = self._clock()
        if found or now < self._looked + LOOK_AGAIN:
            return found
        self._looked = now
        try:
            self.refresh()
        except StoreUnavailable:
            return None
        return self.ring.find(purpose, kid)
