"""Waiting: who waits for a login, and what wakes them. One process, one event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

SHARE = 4  # one instance gets at most a quarter of all waiting places


async def never() -> None:
    """Wait for somebody who does not leave."""
    await asyncio.get_running_loop().create_future()


class Doorbell:
    """One waiter. A ring that comes before the wait is not lost."""

    __slots__ = ("_timeout", "gone", "rung")

    def __init__(self) -> None:
        self.rung = self.gone = False
        self._timeout: asyncio.Timeout | None = None

    def ring(self) -> None:
        self.rung = True
        if self._timeout and not self._timeout.expired():
            self._timeout.reschedule(0)

    async def wait(self, seconds: float, gone: Callable[[], Awaitable[None]] = never) -> bool:
        """Wait for a ring, or until `gone` returns; False when neither came in `seconds`.

        Hears each ring once. No task of its own listens for who leaves: thousands wait.
        """
        if not self.rung:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds) as self._timeout:
                    await gone()
                    self.gone = True
            self._timeout = None
        heard, self.rung = self.rung or self.gone, False
        return heard


class _Place:
    """Held while waiting: a context manager that gives the bell, or None where there is no place.

    Not a generator: each of thousands would keep a frame.
    """

    __slots__ = ("_bell", "_bells", "_login_id", "_owner")

    def __init__(self, bells: Doorbells, login_id: str, owner: str) -> None:
        self._bells = bells
        self._login_id = login_id
        self._owner = owner
        self._bell: Doorbell | None = None

    def __enter__(self) -> Doorbell | None:
        self._bell = self._bells.take(self._login_id, self._owner)
        return self._bell

    def __exit__(self, *_: object) -> None:
        if self._bell:
            self._bells.leave(self._login_id, self._owner, self._bell)


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

    def logins(self) -> list[str]:
        """Name the logins that somebody waits for."""
        return list(self._bells)

    def waiter(self, login_id: str, owner: str) -> _Place:
        """Return a place to enter; the login's earlier waiter is woken to leave then."""
        return _Place(self, login_id, owner)

    def take(self, login_id: str, owner: str) -> Doorbell | None:
        """Without the share, one caller could tie up everybody's waiting."""
        earlier = self._bells.get(login_id)
        full = self._waiting >= self._most or self._owners[owner] >= max(1, self._most // SHARE)
        if self.closed or (full and not earlier):
            return None
        bell = self._bells[login_id] = Doorbell()
        self._waiting += 1
        self._owners[owner] += 1
        if earlier:
            earlier.ring()
        return bell

    def leave(self, login_id: str, owner: str, bell: Doorbell) -> None:
        self._waiting -= 1
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]
        if self._bells.get(login_id) is bell:
            del self._bells[login_id]

    def current(self, login_id: str, bell: Doorbell) -> bool:
        """Whether this is still the login's waiter, and the process still waits at all."""
        return self._bells.get(login_id) is bell and not self.closed

    def ring(self, login_id: str) -> bool:
        """Wake who waits for a login; says whether somebody does."""
        bell = self._bells.get(login_id)
        if bell:
            bell.ring()
        return bell is not None

    def ring_all(self) -> None:
        for bell in self._bells.values():
            bell.ring()

    def close(self) -> None:
        """Send every waiter home, and let none in: the process is about to end."""
        self.closed = True
        self.ring_all()
