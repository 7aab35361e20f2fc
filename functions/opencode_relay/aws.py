"""The relay on AWS: what every Lambda function is made of.

A function is its share of the routes and of the keys. Imports and clients are made at init, so that
a SnapStart snapshot holds them; keys never are: a snapshot that is restored after a rotation would
bring the old ones back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, cast

import boto3
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from botocore.config import Config
from mangum import Mangum

from opencode_relay.emf import EMFMetrics
from opencode_relay.errors import StoreUnavailable
from opencode_relay.events import Events
from opencode_relay.keyring import Keys, Purpose
from opencode_relay.login import Login
from opencode_relay.parameters import FRESH, KeyParameters
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.dynamodb import DynamoDBStore

if TYPE_CHECKING:
    from starlette.types import ASGIApp

Event = dict[str, Any]
# Quick failures: a function has 30 s, and a client that is told 503 tries again.
CLIENT = Config(
    connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}
)
_UNAVAILABLE: Event = {
    "statusCode": 503,
    "headers": {"retry-after": "5", "cache-control": "no-store", "content-type": "text/plain"},
    "body": "The relay cannot read its keys just now. Try again in a few seconds.",
}
_MALFORMED: Event = {
    "statusCode": 400,
    "headers": {"cache-control": "no-store", "content-type": "text/plain"},
    "body": "The request's body is not what its encoding says.",
}


def pace(login: Login) -> float:
    """Seconds until a waiter reads the store again: quick once a browser is back from the IdP."""
    return 0.5 if login.arrived_at else 3


class Function:
    """A Lambda handler. `make` builds the app of its routes, `purposes` are the keys it reads."""

    def __init__(
        self, make: Callable[[Relay], ASGIApp], purposes: Collection[Purpose] = ()
    ) -> None:
        self._settings = Settings.load(os.environ)
        session = boto3.Session()
        dynamodb = session.client("dynamodb", config=CLIENT)
        ssm = session.client("ssm", config=CLIENT) if purposes else None
        self._store = DynamoDBStore(
            dynamodb, logins=os.environ["LOGINS_TABLE"], instances=os.environ["INSTANCES_TABLE"]
        )
        self._parameters = KeyParameters(ssm, os.environ.get("KEYS_PATH", ""))
        self._purposes = purposes
        self._make = make
        self._metrics = EMFMetrics()
        self._keys: Keys | None = None
        self._read_at = 0.0
        self._app: Mangum | None = None
        log_to_cloudwatch(self._settings.log_level)
        asyncio.set_event_loop(asyncio.new_event_loop())

    def __call__(self, event: Event, context: object) -> Event:
        try:
            app = self._ready()
        except StoreUnavailable as wrong:
            fields = {"detail": str(wrong)}
            logging.getLogger("opencode_relay").error("keys_unavailable", extra={"fields": fields})  # noqa: TRY400
            return _UNAVAILABLE
        try:
            answer: Event = app(event, context)  # type: ignore[arg-type]
        except ValueError:  # base64 that is none: API Gateway makes good ones
            return _MALFORMED
        finally:
            self._metrics.flush()
        return _tidy(event, answer)

    def _ready(self) -> Mangum:
        """Read the keys at the first request, and again before they can be out of date."""
        now = time.monotonic()
        if self._app is None or self._keys is None:
            self._keys = Keys(lambda: self._parameters.load(self._purposes))
            self._read_at = now
            events = Events(self._metrics)
            relay = Relay(self._settings, self._store, self._keys, events=events, poll=pace)
            self._app = Mangum(cast("Any", self._make(relay)), lifespan="off")
        elif now >= self._read_at + FRESH:
            self._read_at = now
            try:
                self._keys.refresh()
            except StoreUnavailable:
                logging.getLogger("opencode_relay").warning("keys_not_refreshed")
        return self._app


def log_to_cloudwatch(level: str) -> None:
    """Write the same events as on one machine, in Powertools' form, with Lambda's request id."""
    handler = logging.StreamHandler()
    handler.setFormatter(LambdaPowertoolsFormatter(log_record_order=["level", "message"]))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # It would log an exception with its words, which could hold a secret.
    logging.getLogger("mangum").disabled = True
    logging.getLogger("mangum.http").disabled = True


def _tidy(event: Event, answer: Event) -> Event:
    """Undo what Mangum adds: a type to an empty answer, a body to the answer of a HEAD."""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    if method == "HEAD":
        answer["body"] = ""
    if not answer.get("body"):
        answer.get("headers", {}).pop("content-type", None)
    return answer
