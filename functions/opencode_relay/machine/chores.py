"""Chores: what a process does by itself, every second, beside answering requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from opencode_relay.errors import StoreUnavailable
from opencode_relay.events import Events

TICK = 1  # seconds: what another process changed is taken up, what is erased is gone, within two


class Chores(Protocol):
    async def run(self) -> None:
        """Do them until it is cancelled."""
        ...


async def again_and_again(chore: Callable[[], Awaitable[None]], events: Events) -> None:
    """Do a chore every `TICK`; what fails is told, and tried again."""
    while True:
        try:
            await chore()
        except StoreUnavailable as wrong:
            events.tell("chores_failed", level=logging.ERROR, detail=str(wrong))
        except Exception as wrong:  # noqa: BLE001  # one that ends the chores would do so unheard
            events.tell("unhandled_exception", level=logging.ERROR, wrong=wrong)
        await asyncio.sleep(TICK)
