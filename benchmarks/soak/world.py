"""What every life shares: the clock, the relay under test, and the instances that call it."""

from __future__ import annotations

import bisect
import contextlib
import contextvars
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from opencode_relay.client import AsyncClient, talk

from benchmarks.soak.network import Network
from benchmarks.soak.process import Process
from benchmarks.soak.tally import Tally

RETURN_URL = "https://instance.example/auth/callback"
IDP = "https://idp.example"
EVIL = "https://evil.example"
# Whose logins the relay carries: the name that its page shows, and the issuer that must answer.
PROVIDERS: tuple[tuple[str, str | None], ...] = (
    ("ChatGPT", None),
    ("notes (MCP server, mcp.example)", IDP),
    ("Gateway of ours", IDP),
)
GATEWAY = PROVIDERS[2][0]  # answers by form_post, with a session_state
LIFETIME = 1800  # seconds that a login lives, on the relay's clock
LEAP = 700  # seconds that everybody's clock leaps now and then: two leaps are within a life
EXPIRED = 3  # leaps after which a login has expired, however the clocks differ
REPLACED = 3  # leaps after which a key is out of use that a rotation replaced
# Limits count addresses, and everybody here has the same.
SETTINGS = {
    "RELAY_LOG_LEVEL": "debug",
    "RELAY_LOGIN_LIFETIME": str(LIFETIME),
    "RELAY_OPEN_LIMIT": "1000000",
    "RELAY_ADDRESS_LIMIT": "1000000",
}
SKEW = 60  # seconds that a clock is off
FAR = 1200  # seconds that an instance's clock is off where nobody looks after it
_skew: contextvars.ContextVar[float] = contextvars.ContextVar("skew", default=0)


class Clock:
    """Time that passes in leaps, so that logins expire and rotated keys come into use."""

    def __init__(self) -> None:
        self.leapt = 0.0

    def now(self) -> float:
        return time.time() + self.leapt

    @contextlib.contextmanager
    def off_by(self, seconds: float) -> Iterator[None]:
        """Let what runs inside, and the tasks that it starts, have a wrong clock."""
        token = _skew.set(seconds)
        try:
            yield
        finally:
            _skew.reset(token)


class _InstanceTime:
    """Stands for the module `time` in the client."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def time(self) -> float:
        return self._clock.now() + _skew.get()

    def monotonic(self) -> float:
        return time.monotonic() + self._clock.leapt


class Target(Protocol):
    """A relay under test, and what can be done to it. Each method counts the fault it makes."""

    issuer: str
    instance_keys: list[str]
    at_once: int  # logins
    pause: float  # seconds that people take for each step, on average
    rarely: float  # share of the rate, for what stops or blocks all of it
    faults: frozenset[str]
    late_writes: bool  # whether a request that failed may still write afterwards
    erases: bool  # whether the relay itself forgets what has expired
    processes: list[Process]  # that serve now; the first step of killing one takes it out
    spare: int  # descriptors that a process which has served keeps open for itself

    def transport(self) -> httpx.AsyncBaseTransport: ...

    async def kept(self, login_id: str) -> dict[str, Any] | None:
        """Return what the store keeps of a login."""
        ...

    async def start(self) -> None: ...

    async def kill(self) -> None: ...

    async def rotate(self) -> None: ...

    async def lock(self) -> None: ...

    async def shift(self) -> None:
        """Set the relay's clock right, or wrong by a minute."""
        ...

    async def leap(self) -> None:
        """Let everybody's time leap; what is too old to know the keys then in use ends before."""
        ...

    async def stop(self) -> None:
        """End the relay, if it still runs; `logs` are whole from now on."""
        ...

    def logs(self) -> list[Path]: ...

    async def stored(self) -> list[bytes]:
        """Return everything that the store holds, as it stands there."""
        ...


@dataclass(slots=True)
class Instance:
    """An enrolled instance: our client, and the same line to the relay without it."""

    client: AsyncClient
    http: httpx.AsyncClient


@dataclass(slots=True)
class World:
    """One run."""

    tally: Tally
    clock: Clock
    target: Target
    instances: list[Instance] = field(default_factory=list)
    leaps: int = 0
    rotations: list[int] = field(default_factory=list)  # for each, the leaps there were
    kids: dict[str, int] = field(default_factory=dict)  # of states: rotations before the first
    # Lives that are left to expire, with the leaps there were and the page that was left open.
    left: list[tuple[int, Any, httpx.Response | None]] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)  # logins that must be forgotten in the end
    verifiers: deque[str] = field(default_factory=lambda: deque(maxlen=100))

    def overdue(self, kid: str) -> bool:
        """Note the key of a state; say whether a rotation should have replaced it by now."""
        known_since = self.kids.setdefault(kid, len(self.rotations))
        return known_since < bisect.bisect(self.rotations, self.leaps - REPLACED)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Give each instance a line to the relay, and the clock of this world."""
        sealed: dict[str, bytes] = {}
        vars(talk)["time"] = _InstanceTime(self.clock)
        for key in self.target.instance_keys:
            self.tally.secrets.add("instance key", key)
            network = Network(self.target.transport(), self.tally, sealed)
            http = httpx.AsyncClient(transport=network, base_url=self.target.issuer, timeout=60)
            self.instances.append(
                Instance(AsyncClient(self.target.issuer, key=key, http=http), http)
            )
        try:
            yield
        finally:
            vars(talk)["time"] = time
            for instance in self.instances:
                await instance.http.aclose()
