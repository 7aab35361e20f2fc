"""The wire tests of one machine, of a relay over DynamoDB Local and Parameter Store."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opencode_relay.instances import Instance
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.machine.shared import FetchedKeys
from opencode_relay.relay import Relay
from opencode_relay.secret import Secret
from opencode_relay.settings import Settings
from opencode_relay.web.app import make_app

from tests.aws.ric_wire import INSTANCES, KEYS_PATH, TappedStore
from tests.aws.tap import Tap
from tests.aws.test_wire import ELSEWHERE, MODULES, wire_tests
from tests.support.clock import START, Clock
from tests.support.wire import ISSUER, MakeWire, Wire
from tests.web.conftest import open_wire, wire  # noqa: F401

_days = iter(range(1000, 10_000))


class SharedWire(Wire):
    def __init__(self, tap: Tap, clock: Clock, **settings: Any) -> None:  # super() has SQLite
        self.clock = clock
        self.store: Any = TappedStore(tap)
        self.keyfile: Any = KeyParameters(tap.client("ssm"), KEYS_PATH, clock)
        self.keys = FetchedKeys(self.keyfile.load)  # by a clock of its own: they are not tended
        self.keys.refresh()
        config = Settings(**{"public_url": ISSUER, **settings})
        self.relay = Relay(config, self.store, self.keys, clock=clock)
        self.app = make_app(self.relay)
        self.http: httpx.AsyncClient = self.at("203.0.113.7")
        self.key: Secret | None = None
        self.instance: Instance | None = None


@pytest.fixture
def clock() -> Clock:
    """Each test has a day of its own, and so its counters."""
    return Clock(START + 86400 * next(_days))


@pytest.fixture
def make_wire(tap: Tap, clock: Clock) -> Iterator[MakeWire]:
    keys = dict(tap.parameters)
    yield lambda **settings: SharedWire(tap, clock, **settings)
    tap.fault = lambda _: None
    tap.parameters = keys
    database = tap.client("dynamodb")
    for item in database.scan(TableName=INSTANCES)["Items"]:
        database.delete_item(TableName=INSTANCES, Key={"pk": item["pk"]})


# How a body or a query is read has nothing to do with the store.
PARSING = {"test_open_members", "test_callback"}

globals().update(wire_tests(sorted({*MODULES, "test_waiting"} - PARSING), ELSEWHERE))
