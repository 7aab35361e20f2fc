"""Waiting: who waits for a login, and what wakes them. One process, one event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 4  # one instance gets at most a quarter of all waiting places


class Doorbell:
    """One waiter. A ring that comes before the wait is not lost."""

    __slots__ = ("_future", "rung")

    def __init__(self) -> None:
        self.rung = False
        self._future: asyncio.Future[None] | None = None

    def ring(self, *_: object) -> None:
        self.rung = True
        if self._future and not self._future.done():
            self._future.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring; False when none came in `seconds`. Hears each ring once."""
        if not self.rung:
            loop = asyncio.get_running_loop()
            self._future = loop.create_future()
            timer = loop.call_later(seconds, _end, self._future)
            try:
                await self._future
            finally:
                timer.cancel()
        heard, self.rung = self.rung, False
        return heard


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Doorbells:
    """All waiters of this process: one for each login, limited in number and per instance."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bells: dict[str, Doorbell] = {}
        self._owners: Counter[str] = Counter()
        self._waiting = 0
        self.closed = False

    def __len__(self) -> int:
        return self._waiting

    @contextmanager
    def waiter(self, login_id: str, owner: str) -> Iterator[Doorbell | None]:
        """Take a place; None where there is none. The login's earlier waiter is woken to leave.

        Without the share, one caller could tie up everybody's waiting.
        """
        earlier = self._bells.get(login_id)
        full = self._waiting >= self._most or self._owners[owner] >= max(1, self._most // SHARE)
        if self.closed or (full and not earlier):
            yield None
            return
        bell = Doorbell()
        self._bells[login_id] = bell
        self._waiting += 1
        self._owners[owner] += 1
        if earlier:
            earlier.ring()
        try:
            yield bell
        finally:
            self._waiting -= 1
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]
            if self._bells.get(login_id) is bell:
                del self._bells[login_id]

    def current(self, login_id: str, bell: Doorbell) -> bool:
        """Whether this is still the login's waiter, and the process still waits at all."""
        return self._bells.get(login_id) is bell and not self.closed

    def ring(self, login_id: str) -> None:
        bell = self._bells.get(login_id)
        if bell:
            bell.ring()

    def ring_all(self) -> None:
        for bell in self._bells.values():
            bell.ring()

    def close(self) -> None:
        """Send every waiter home, and let none in: the process is about to end."""
        self.closed = True
        self.ring_all()
