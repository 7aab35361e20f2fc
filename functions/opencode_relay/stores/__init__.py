"""What the relay asks of a store. One contract suite (tests/stores) holds every store to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from opencode_relay.instances import Instance
from opencode_relay.login import Change, Login


class Store(Protocol):
    """Logins, enrolled instances and counters. A store knows no rules.

    Every method raises StoreUnavailable when the store cannot be used. Reads see every write that
    was acknowledged before.
    """

    async def create(self, login: Login) -> None: ...

    async def get(self, login_id: str) -> Login | None:
        """Return the login as it was written, expired or not."""
        ...

    async def apply(self, login_id: str, change: Change) -> bool:
        """Carry out one compare-and-set; False if it did not hold."""
        ...

    async def count_try(self, login_id: str, now: float) -> int | None:
        """Count a try at the code of a held login and return how many it has had.

        None, and nothing counted, where it is not held, has expired or has had `MAX_TRIES`.
        """
        ...

    async def cancel_all(self, now: float, *, instance_id: str | None = None) -> Sequence[Login]:
        """Cancel the open logins of one instance, or all of them, and return them."""
        ...

    async def hit(self, counter: str, minute: int) -> int:
        """Count one more in this minute (Unix time / 60) and return the sum."""
        ...

    async def take_back(self, counter: str, minute: int) -> None:
        """Count one less in this minute, where anything is counted."""
        ...

    async def count(self, counter: str, minutes: range) -> int:
        """Return the sum over these minutes."""
        ...

    async def add_instance(self, instance: Instance) -> bool:
        """Return False where the name is taken."""
        ...

    async def get_instance(self, instance_id: str) -> Instance | None: ...

    async def list_instances(self) -> Sequence[Instance]: ...

    async def replace_instance(self, instance: Instance) -> bool:
        """Write an instance over its `version`; False where another writer was quicker.

        Its name may be another: the old one is free from then on. Raises NameTaken, and changes
        nothing, where another instance has the new one.
        """
        ...

    async def remove_instance(self, instance_id: str) -> bool:
        """Remove an instance, whatever others write to it; False where there is none."""
        ...

    async def note_use(self, instance_id: str, now: float, before: float) -> bool:
        """Write when an instance's key was used, where that was last written `before` or never.

        It is no change of the instance: its `version` stays, and `replace_instance` keeps it.
        """
        ...

    async def check(self) -> None:
        """Read from the store, for the health endpoint."""
        ...
