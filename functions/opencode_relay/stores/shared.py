"""The store of processes that hold requests: they look for what others wrote."""

from __future__ import annotations

from .dynamodb import DynamoDBStore


class SharedStore(DynamoDBStore):
    """Checks that too: where only the looks fail, people wait in vain and nothing else tells."""

    async def check(self) -> None:
        await super().check()
        await self.settled(["-"])
