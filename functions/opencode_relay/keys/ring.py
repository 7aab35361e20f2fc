"""All the relay's keys at one moment, and how one rotates into another.

A new key is published at once and used only `HEAD_START` seconds later, when every process and
every cache of the JWKS knows it; an old one stays until everything made with it has expired.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opencode_relay.errors import StoreUnavailable

from .key import Key, Purpose

HEAD_START = 15 * 60  # seconds that a key is known before it is used (protocol, JWKS)
BACKDATED = 5 * 60  # seconds, so that a clock that is behind, or set back, has a first key too
KEPT = 60 * 60  # seconds an old key stays: the longest login, its release, and clocks that differ
MAX_AGE = 90 * 24 * 3600  # seconds after which `serve` rotates by itself


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys at one moment. Immutable: rotation makes another ring."""

    keys: tuple[Key, ...]

    @classmethod
    def fresh(cls, now: float) -> Ring:
        """Make the first ring of a new store."""
        return cls(()).completed(now)

    def completed(self, now: float) -> Ring:
        """Add a key for each purpose without one: nobody holds an older one, so it is used at once.

        All of them in a new store, and one where a release has brought another purpose.
        """
        return Ring(self.keys + tuple(Key.new(p, now) for p in Purpose if p in self.missing()))

    def missing(self) -> set[Purpose]:
        return set(Purpose) - {key.purpose for key in self.keys}

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

    def of(self, purpose: Purpose) -> list[Key]:
        return [key for key in self.keys if key.purpose is purpose]

    def find(self, purpose: Purpose, kid: str) -> Key | None:
        return next((k for k in self.keys if k.purpose is purpose and k.kid == kid), None)

    def tended(self, now: float) -> Ring:
        """Rotate where a purpose's newest key is `MAX_AGE` old; else drop what is outlived."""
        return self.rotated(now) if self.age(now) >= MAX_AGE else self.pruned(now)

    def age(self, now: float) -> float:
        """Return the seconds since the keys were last rotated, of the purpose that was first."""
        return now - min(max(key.used_from for key in self.of(purpose)) for purpose in Purpose)

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
        """Read a dumped ring, which may lack a purpose that a newer release adds.

        Raises ValueError, which does not show the text, where any of it is damaged.
        """
        try:
            rows: Iterable[dict[str, Any]] = json.loads(text)["keys"]
            ring = cls(tuple(Key.load(**row) for row in rows))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValueError("damaged") from None
        if not ring.keys:
            raise ValueError("damaged")
        return ring
