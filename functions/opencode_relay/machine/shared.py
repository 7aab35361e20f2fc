"""What a relay of several processes does by itself: they share tables and keys on AWS.

Keys are rotated by somebody else, who is one: the stack's daily function, or else a scheduled
`opencode-relay keys rotate --due`. So these processes need no right to write any.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from opencode_relay.amazon import LOOKS
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.held import LOOK_AGAIN, Keys
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.keys.ring import HEAD_START, MAX_AGE, Ring
from opencode_relay.relay import Relay
from opencode_relay.stores.dynamodb import BATCH, DynamoDBStore

from .chores import again_and_again
from .descriptors import Watch

OVERDUE = MAX_AGE + 7 * 24 * 3600  # seconds; who rotates does so daily where it is due
# Seconds that a ring is used without another look. New keys are known to all before they are used,
# and who keeps a process from its looks gets no more out of keys that leaked.
STALE = HEAD_START - 300
SAY_AGAIN = 3600  # seconds at least between two lines that the keys are overdue


class FetchedKeys(Keys):
    """A ring that is fetched in a thread, for it takes a request: a look-up only asks for that."""

    def __init__(
        self, load: Callable[[], Ring], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(load, clock)
        self._due = self._fetched = float("-inf")
        self._wrong = ""

    @property
    def ring(self) -> Ring:
        """Raises StoreUnavailable for a ring that is `STALE`."""
        if self._clock() >= self._fetched + STALE:
            raise StoreUnavailable(
                f"The keys could not be read for {STALE // 60} minutes, and are not used any more."
            )
        return self._ring

    @ring.setter
    def ring(self, ring: Ring) -> None:
        self._ring, self._fetched = ring, self._clock()

    async def tend(self) -> bool:
        """Fetch the newest ring where it is time to, and say so; if that fails the old one stays.

        Raises StoreUnavailable.
        """
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + LOOK_AGAIN
        try:
            self.ring = await asyncio.to_thread(self._load)
        except StoreUnavailable as wrong:
            self._wrong = str(wrong)
            raise
        self._wrong = ""
        return True

    def check(self) -> None:
        if self._wrong:
            raise StoreUnavailable(self._wrong)

    def find(self, purpose: Purpose, kid: str) -> Key | None:
        found, now = self.ring.find(purpose, kid), self._clock()
        if found is None and now >= self._looked + LOOK_AGAIN:
            self._looked = self._due = now  # whoever tries again in a second finds it
        return found


class SharedHousekeeping:
    """Wakes waiters for what others wrote, takes up new keys, says when nobody rotates them."""

    def __init__(self, relay: Relay, store: DynamoDBStore, keys: FetchedKeys) -> None:
        self._relay = relay
        self._store = store
        self._keys = keys
        self._descriptors = Watch(relay.events)
        self._may_say = float("-inf")

    async def run(self) -> None:
        # Apart: who waits is woken though Parameter Store is slow.
        chores = (self.wake, self.tend_keys)
        await asyncio.gather(*(again_and_again(one, self._relay.events) for one in chores))

    async def wake(self) -> None:
        """Raises StoreUnavailable, after all that could be asked for was."""
        self._descriptors.look()
        waiting, turn = self._relay.bells.logins(), asyncio.Semaphore(LOOKS)
        parts = [waiting[n : n + BATCH] for n in range(0, len(waiting), BATCH)]
        done = await asyncio.gather(
            *(self._look(part, turn) for part in parts), return_exceptions=True
        )
        for wrong in done:
            if wrong:
                raise wrong

    async def _look(self, login_ids: Sequence[str], turn: asyncio.Semaphore) -> None:
        async with turn:
            settled = await self._store.settled(login_ids)
        for login_id in settled:
            self._relay.bells.ring(login_id)

    async def tend_keys(self) -> None:
        """Raises StoreUnavailable."""
        if not await self._keys.tend():
            return
        now = self._relay.now()
        if now >= self._may_say and self._keys.ring.age(now) >= OVERDUE:
            self._may_say = now + SAY_AGAIN
            detail = (
                "The keys are older than 90 days and nobody rotates them: see why the stack's "
                "RotateKeysFunction does not, or run `opencode-relay keys rotate --due` daily."
            )
            self._relay.events.tell("keys_overdue", level=logging.WARNING, detail=detail)
