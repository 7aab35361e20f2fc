"""Who is failed by the relay tries again, as people and instances do."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
from opencode_relay.client import ClientError, NotARelay, RelayRefused

from benchmarks.soak import tally as is_
from benchmarks.soak.network import HungUp
from benchmarks.soak.world import Instance, World

PATIENCE = 90  # seconds after which a person, or an instance, gives up
_TOO_MANY = 429
_SETTLED = 10  # seconds in which a request is carried out whose caller has hung up

Result = TypeVar("Result")


class GaveUp(Exception):
    """The relay could not be used for as long as anybody would try."""


class Patient:
    """Sends for one login, whose code no answer may show."""

    def __init__(self, world: World) -> None:
        self.world, self.tally = world, world.tally
        self.instance: Instance = world.tally.random.choice(world.instances)
        self.code = secrets.token_urlsafe(32)
        self.tally.secrets.add("authorization code", self.code)
        self.troubled = False  # whether a request failed, and may have been carried out
        self._hung_up = -math.inf
        self.owed = False  # whether a code was released that its instance does not have yet

    @property
    def id(self) -> str:
        raise NotImplementedError

    def broke(self, promise: str, what: str) -> None:
        self.tally.broke(promise, self.id, what)

    @property
    def unsettled(self) -> bool:
        """Whether a request that failed may still be carried out."""
        late = self.troubled and self.world.target.late_writes
        return late or time.monotonic() < self._hung_up + _SETTLED

    async def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send until there is an answer that is no failure. Raises GaveUp."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                answer = await self.instance.http.request(method, path, **request)
            except httpx.TransportError as wrong:
                answer = None
                if isinstance(wrong, HungUp):
                    self._hung_up = time.monotonic()
            if answer is not None:
                told = b"\n".join([*(value for _, value in answer.headers.raw), answer.content])
                if self.code.encode() in told:
                    self.broke(is_.READ, f"{method} {path} shows the code")
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return answer
            await self._again(until)

    async def ask(self, step: Callable[[], Awaitable[Result]]) -> Result:
        """Let the client do a step until the relay answers it. Raises GaveUp."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await step()
            except RelayRefused as refused:
                failed = refused.status >= httpx.codes.INTERNAL_SERVER_ERROR
                if not failed and refused.status != _TOO_MANY:
                    raise
            except ClientError as failed:
                # API Gateway's own 500 and 503 are no relay's.
                if isinstance(failed, NotARelay) and " answers 50" not in str(failed):
                    raise
                self._hung_up = time.monotonic()  # perhaps
            await self._again(until)

    async def _again(self, until: float) -> None:
        self.troubled = True
        if time.monotonic() > until:
            raise GaveUp
        await asyncio.sleep(self.tally.random.uniform(0.1, 0.8))

    async def pause(self) -> None:
        mean = self.world.target.pause
        await asyncio.sleep(min(3 * mean, self.tally.random.expovariate(1 / mean)))
