"""The relay on AWS: what every Lambda function is made of.

A function is its share of the routes and of the keys. All but the keys is made at init, so that a
SnapStart snapshot holds it; a snapshot that held keys would bring old ones back after a rotation.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

gc.disable()  # until all is imported: it finds no garbage there, and takes a tenth of a cold start

import asyncio
import logging
import os
import random
import time
from base64 import b64decode
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
from mangum import Mangum

import opencode_relay.web.app  # noqa: F401  # every function needs it: here, while gc is off
from opencode_relay.amazon import CONFIG
from opencode_relay.errors import StoreUnavailable
from opencode_relay.events import Events
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.parameters import FRESH, KeyParameters
from opencode_relay.pace import retry_after
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.dynamodb import DynamoDBStore

from .front import Front
from .log import CloudWatchLog
from .metrics import EMFMetrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp

Event = dict[str, Any]
_LOG = logging.getLogger("opencode_relay")
_SESSION = boto3.Session()  # one, for it reads botocore's data


def client(service: str) -> Any:
    """Make a low-level client."""
    return _SESSION.client(service, config=CONFIG)


def _refused(status: int, sentence: str, **more: str) -> Event:
    headers = {"cache-control": "no-store", "content-type": "text/plain", **more}
    return {"statusCode": status, "headers": headers, "body": sentence}


class Function:
    """A Lambda handler. `make` builds the app of its routes, `purposes` are the keys it reads."""

    def __init__(
        self, make: Callable[[Relay], ASGIApp], purposes: Collection[Purpose] = ()
    ) -> None:
        gc.disable()
        settings = Settings.load(os.environ)
        self._log = CloudWatchLog(settings.log_level)
        ssm = client("ssm") if purposes else None
        parameters = KeyParameters(ssm, os.environ.get("KEYS_PATH", ""))
        self._front = Front(os.environ.get("FRONT_SECRET_HASH", ""))
        self._metrics = EMFMetrics()
        self._keys = Keys(lambda: parameters.load(purposes))
        self._keys_at: float | None = None
        store = DynamoDBStore(
            client("dynamodb"),
            logins=os.environ["LOGINS_TABLE"],
            instances=os.environ["INSTANCES_TABLE"],
        )
        self._events = Events(self._metrics)

        def app(url: str) -> Mangum:
            its = replace(settings, public_url=url)
            relay = Relay(its, store, self._keys, events=self._events, poll=retry_after)
            return Mangum(cast("Any", make(relay)), lifespan="off")

        self._app = app(settings.public_url)
        # The address from before the relay had a domain may stay for a while. Each is an issuer
        # of its own, or logins and instances of the old one would end.
        old = os.environ.get("OLD_PUBLIC_URL")
        self._old = {urlsplit(old).hostname: app(old)} if old else {}
        asyncio.set_event_loop(asyncio.new_event_loop())
        gc.freeze()  # what is there stays: no collection has to look at it again
        gc.enable()

    def __call__(self, event: Event, context: object) -> Event:
        self._log.begin(event, context)
        try:
            return self._answer(event, context)
        except Exception as wrong:  # noqa: BLE001  # Lambda would log its words
            self._events.tell("unhandled_exception", level=logging.ERROR, wrong=wrong)
            return _refused(503, "The relay cannot answer just now.", **{"retry-after": "5"})
        finally:
            self._metrics.flush()

    def _answer(self, event: Event, context: object) -> Event:
        if not self._front.passes(event):
            return _refused(403, "This relay answers only to what stands before it: its front.")
        if not _decodes(event):
            return _refused(400, "The request's body is not what its encoding says.")
        self._refresh()
        # Which of the API's own names was asked; Host is the caller's to write.
        name = event.get("requestContext", {}).get("domainName")
        answer: Event = self._old.get(name, self._app)(event, context)  # type: ignore[arg-type]
        return _tidy(event, answer)

    def _refresh(self) -> None:
        """Read the keys again before they can be out of date; if that fails the old ones stay."""
        now = time.monotonic()
        if self._keys_at is None:
            self._keys_at = now  # they are read when they are used
            random.seed()  # or the copies of a snapshot would space their retries alike
        elif now >= self._keys_at + FRESH:
            self._keys_at = now
            try:
                self._keys.refresh()
            except StoreUnavailable as wrong:
                fields = {"detail": str(wrong)}
                _LOG.warning("keys_not_refreshed", extra={"fields": fields})


def _decodes(event: Event) -> bool:
    """Whether a body in base64 is some: API Gateway makes good ones."""
    try:
        b64decode((event.get("body") or "") if event.get("isBase64Encoded") else "")
    except ValueError:
        return False
    return True


def _tidy(event: Event, answer: Event) -> Event:
    """Undo what Mangum adds: a type to an empty answer, a body to the answer of a HEAD."""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    if method == "HEAD":
        answer["body"] = ""
    if not answer.get("body"):
        answer.get("headers", {}).pop("content-type", None)
    return answer


gc.freeze()  # or enabling it would look at all that at once
gc.enable()
