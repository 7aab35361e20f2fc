"""What a relay on one machine does by itself, beside answering requests."""

from __future__ import annotations

import logging

from opencode_relay.keys.file import KeyFile
from opencode_relay.relay import Relay
from opencode_relay.stores.sqlite import SQLiteStore

from .chores import again_and_again
from .descriptors import Watch

SWEEP = 10  # ticks between two erasures of what has expired
HELD_UP = 60  # ticks between two complaints that what was erased is still in the log
ROTATE = 3600  # ticks between two looks at the keys' age


class Housekeeping:
    """Wakes waiters for what others wrote, takes up new keys, erases, rotates every 90 days."""

    def __init__(self, relay: Relay, store: SQLiteStore, keyfile: KeyFile) -> None:
        self._relay = relay
        self._store = store
        self._keyfile = keyfile
        self._writes = store.foreign_writes()
        self._keys_at = 0
        self._ticks = 0
        self._held_up = 0
        self._descriptors = Watch(relay.events)

    async def run(self) -> None:
        async def tick() -> None:
            self.tick()

        await again_and_again(tick, self._relay.events)

    def tick(self) -> None:
        """Raises StoreUnavailable; the next tick tries again."""
        ticks, self._ticks = self._ticks, self._ticks + 1
        self._descriptors.look()
        writes = self._store.foreign_writes()
        if writes != self._writes:
            self._writes = writes
            self._relay.bells.ring_all()
        if ticks % SWEEP == 0:
            for login_id, was in self._store.sweep(self._relay.now()):
                self._relay.events.tell("expired", was, login_id=login_id)
        self._empty_log()
        # Last, for the old ring stays good when this fails, and nothing else may wait for it.
        if ticks % ROTATE == 0 and self._keyfile.rotate_if_due():
            self._relay.events.tell("keys_rotated")
        changed_at = self._keyfile.changed_at()
        if changed_at != self._keys_at:
            self._relay.keys.refresh()
            self._keys_at = changed_at

    def _empty_log(self) -> None:
        self._held_up = 0 if self._store.empty_log() else self._held_up + 1
        if self._held_up and self._held_up % HELD_UP == 0:
            detail = "Another program keeps relay.db open for reading: end it."
            self._relay.events.tell("erasure_held_up", level=logging.WARNING, detail=detail)
