"""The wire tests' relay, made of Lambda functions."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from opencode_relay.errors import StoreUnavailable
from opencode_relay.instances import Instance
from opencode_relay.keys.held import Keys
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.keys.ring import Ring
from opencode_relay.secret import Secret
from opencode_relay.stores.dynamodb import DynamoDBStore

from tests.aws.ric_gateway import Functions, Gateway
from tests.aws.tap import FAILING, Tap
from tests.support.clock import START, Clock
from tests.support.wire import ISSUER, Wire

LOGINS, INSTANCES, KEYS_PATH = "logins", "instances", "/keys"


class SharedClock(Clock):
    """A clock that the functions read too. Each test has a day of its own, and so its counters."""

    _days = 0

    def __init__(self, path: Path) -> None:
        SharedClock._days += 1
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        super().__init__(START + 86400 * SharedClock._days)

    @property
    def now(self) -> float:
        return float(struct.unpack("d", os.pread(self._file, 8, 0))[0])

    @now.setter
    def now(self, now: float) -> None:
        os.pwrite(self._file, struct.pack("d", now), 0)

    def close(self) -> None:
        os.close(self._file)


class FunctionsKeys(Keys):
    """The ring in Parameter Store. To refresh it is to start the functions anew, too."""

    def __init__(self, load: Callable[[], Ring], clock: Clock, functions: Functions) -> None:
        super().__init__(load, clock)
        self._functions = functions

    def refresh(self) -> None:
        super().refresh()
        self._functions.stop()


class TappedStore(DynamoDBStore):
    """The test's own view of the tables; to close it is to break it for everybody."""

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap.client("dynamodb"), logins=LOGINS, instances=INSTANCES)
        self._tap = tap

    def close(self) -> None:
        self._tap.fault = lambda _: FAILING


class _Relay:
    def __init__(self, issuer: str) -> None:
        self.issuer = issuer


class LambdaWire(Wire):
    """A `Wire` through API Gateway's events. `settings` become the functions' environment."""

    def __init__(  # super() would make an embedded relay
        self, tap: Tap, functions: Functions, clock: Clock, issuer: str = ISSUER
    ) -> None:
        self.clock = clock
        self.store: Any = TappedStore(tap)
        self.keyfile: Any = KeyParameters(tap.client("ssm"), KEYS_PATH, clock)
        self.keys = FunctionsKeys(self.keyfile.load, clock, functions)
        self.relay: Any = _Relay(issuer)
        self.functions = functions
        self.http = self.at("203.0.113.7")
        self.key: Secret | None = None
        self.instance: Instance | None = None

    def at(self, address: str) -> httpx.AsyncClient:
        gateway = Gateway(self.functions, address)
        return httpx.AsyncClient(transport=gateway, base_url=self.relay.issuer)


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    """Write settings as a function's environment has them."""
    return {
        f"RELAY_{name.upper()}": json.dumps(list(value)) if isinstance(value, tuple) else str(value)
        for name, value in settings.items()
    }


def first_keys(tap: Tap) -> None:
    """Put a first ring in place that is in use on every test's day."""
    parameters = KeyParameters(tap.client("ssm"), KEYS_PATH, lambda: START)
    if not parameters.make():
        raise StoreUnavailable("There were keys before the tests.")
