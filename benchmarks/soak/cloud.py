"""Tables on DynamoDB Local and keys in Parameter Store, behind a tap that makes faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from botocore.session import get_session
from opencode_relay.instances import Instance
from opencode_relay.stores.dynamodb import DynamoDBStore

from benchmarks.soak import tally as is_
from benchmarks.soak.tally import Tally
from benchmarks.soak.world import RETURN_URL
from tests.aws.ric_wire import INSTANCES, LOGINS
from tests.aws.tap import FAILING, LOST, THROTTLED, Call, Fault, Tap, create_tables, dynamodb_local

ISSUER = "https://relay.example"
SHARE = 1 / 20  # of the rate, for each request to AWS: a login makes about twenty
_LATE = (0.1, 0.3, 0.6, 1.2, 3.5)  # seconds: some beyond what a relay waits
_RETRIES = 3  # requests that a relay makes before it gives up


class _Forgetful(list[Call]):
    """The tap's record of calls, which a long run cannot keep."""

    def append(self, _: Call) -> None:
        pass


class _Tap(Tap):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # A relay that was killed leaves requests without their bodies.
        if not isinstance(sys.exc_info()[1], ValueError):
            super().handle_error(request, client_address)


class Cloud:
    """What a relay has on AWS. Requests of others than the soak itself meet faults."""

    def __init__(self, logs: Path, tally: Tally) -> None:
        self._tally = tally
        self._ending = contextlib.ExitStack()
        port = self._ending.enter_context(dynamodb_local(logs / "dynamodb.log"))
        self.tap = _Tap(port)
        self._ending.callback(self.tap.close)
        self.tap.calls = _Forgetful()
        create_tables(self.tap.client("dynamodb"), LOGINS, INSTANCES)
        # Beside the tap, for what is looked up here must not fail.
        self._database = get_session().create_client(
            "dynamodb",
            "us-east-1",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="test",
            aws_secret_access_key="x",  # noqa: S106
        )
        self._ending.callback(self._database.close)
        self._failing: dict[str, int] = {}

    async def enrol(self, number: int, now: float) -> list[str]:
        """Enrol so many instances, and return their keys; faults begin."""
        store = DynamoDBStore(self._database, logins=LOGINS, instances=INSTANCES)
        keys = []
        for one in range(number):
            instance, key = Instance.enrol(f"workshop {one}", [RETURN_URL], now)
            await store.add_instance(instance)
            keys.append(key.reveal())
        self.tap.fault = self._fault
        return keys

    def _fault(self, call: Call) -> Fault | None:
        """Decide about a request to AWS; what fails mostly does so until it is given up."""
        if call.function == "test":
            return None
        about = f"{call.function} {call.body.get('Key') or call.action}"
        if self._failing.get(about):
            self._failing[about] -= 1
            return FAILING
        if self._tally.random.random() >= self._tally.rate * SHARE:
            return None
        kind = self._tally.random.choice([is_.STORE_ERROR, is_.STORE_LOST, is_.STORE_DELAY])
        self._tally.met(kind)
        if kind == is_.STORE_DELAY:
            return Fault(late=self._tally.random.choice(_LATE))
        if self._tally.random.random() < 2 / 3:
            self._failing[about] = _RETRIES - 1
        if kind == is_.STORE_LOST:
            return LOST
        return self._tally.random.choice([FAILING, THROTTLED])

    async def kept(self, login_id: str) -> dict[str, Any] | None:
        def look() -> dict[str, Any] | None:
            key = {"pk": {"S": f"login#{login_id}"}}
            found = self._database.get_item(TableName=LOGINS, Key=key, ConsistentRead=True)
            item: dict[str, Any] | None = found.get("Item")
            return item

        return await asyncio.to_thread(look)

    async def stored(self) -> list[bytes]:
        def scan() -> list[bytes]:
            scanned = self._database.get_paginator("scan")
            both = (scanned.paginate(TableName=name) for name in (LOGINS, INSTANCES))
            return [json.dumps(page["Items"]).encode() for table in both for page in table]

        return await asyncio.to_thread(scan)

    def close(self) -> None:
        self._ending.close()
