"""The ring that a process holds, and the one rule about fetching another."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

from opencode_relay.errors import StoreUnavailable

from .key import Key, Purpose
from .ring import Ring

LOOK_AGAIN = 60  # seconds at least between two look-ups that strangers can cause


class Keys:
    """A ring, read by `load` when it is first needed."""

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
