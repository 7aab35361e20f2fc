"""Stores between the relay and the real one."""

import asyncio

from opencode_relay.login import Change, Login
from opencode_relay.stores import Store


class Yielding:
    """A store whose calls let others in between, as one over a network does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, login_id: str) -> Login | None:
        await asyncio.sleep(0)
        return await self._store.get(login_id)

    async def apply(self, login_id: str, change: Change) -> bool:
        await asyncio.sleep(0)
        return await self._store.apply(login_id, change)

    async def count_try(self, login_id: str, now: float) -> int | None:
        await asyncio.sleep(0)
        return await self._store.count_try(login_id, now)

    async def hit(self, counter: str, minute: int) -> int:
        await asyncio.sleep(0)
        return await self._store.hit(counter, minute)

    async def count(self, counter: str, minutes: range) -> int:
        await asyncio.sleep(0)
        return await self._store.count(counter, minutes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


class Asked:
    """A store that notes which logins it was asked for."""

    def __init__(self, store: Store, asked: set[str]) -> None:
        self._store = store
        self._asked = asked

    async def get(self, login_id: str) -> Login | None:
        self._asked.add(login_id)
        return await self._store.get(login_id)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)
