"""Makes the keys when the stack is deployed, rotates them on schedule, removes them with the stack.

As a custom resource it answers CloudFormation at the address that the event names. What it cannot
delete stays, for a stack that cannot be deleted is worse.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from time import sleep
from typing import Any
from urllib.request import Request, urlopen

from opencode_relay.errors import StoreUnavailable
from opencode_relay.events import Events
from opencode_relay.keys.parameters import KeyParameters

from .function import client
from .log import CloudWatchLog
from .metrics import EMFMetrics

_ANSWER = 10  # seconds
_PAUSES = (1, 2, 4, 8, 8, 8, 8)  # seconds: IAM takes some until everybody knows a new role
_LOG = logging.getLogger("opencode_relay")


def handler(event: dict[str, Any], context: Any) -> None:
    """Handle a schedule's event, or a custom resource's: then failure is told, not raised."""
    CloudWatchLog(os.environ.get("RELAY_LOG_LEVEL", "info")).begin(event, context)
    path = os.environ["KEYS_PATH"]
    parameters = KeyParameters(client("ssm"), path)
    if "ResponseURL" not in event:
        _tend(parameters)
    elif event["RequestType"] == "Delete":
        left = _reason(parameters.remove, "keys_not_removed")
        _answer(event, path, "SUCCESS", left and f"The keys stay under {path}. {left}")
    else:
        failed = _reason(parameters.make, "keys_not_made")
        _answer(event, path, "FAILED" if failed else "SUCCESS", failed)


def _tend(parameters: KeyParameters) -> None:
    """Raises where it fails, and so counts as an error, for the alarm."""
    metrics = EMFMetrics()
    try:
        if parameters.rotate_if_due():
            Events(metrics).tell("keys_rotated")
    except StoreUnavailable:
        raise
    except Exception as wrong:  # noqa: BLE001  # or Lambda would log its words
        _LOG.exception("keys_not_tended")
        raise RuntimeError(type(wrong).__name__) from None
    metrics.flush()


def _reason(do: Callable[[], object], event: str) -> str:
    """Try again and again; in the end log `event` and say why it cannot be done, or nothing."""
    for pause in (*_PAUSES, 0):
        try:
            do()
        except StoreUnavailable as wrong:
            reason, last = str(wrong), wrong
        except Exception as wrong:  # noqa: BLE001  # CloudFormation would wait for an answer
            _LOG.exception(event)
            return f"{type(wrong).__name__}: see the log."
        else:
            return ""
        sleep(pause)
    _LOG.error(event, exc_info=last, extra={"fields": {"detail": reason}})
    return reason


def _digest(properties: object) -> str:
    """Name the stack's settings: functions get another version where one is changed."""
    return hashlib.sha256(json.dumps(properties, sort_keys=True).encode()).hexdigest()[:32]


def _answer(event: dict[str, Any], path: str, status: str, reason: str) -> None:
    body = {
        "Status": status,
        "Reason": reason or "done",
        # The same at every update: another one would make CloudFormation delete the old "resource".
        "PhysicalResourceId": path,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Digest": _digest(event.get("ResourceProperties"))},
    }
    url = event["ResponseURL"]
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError("CloudFormation's answer address must be https")
    # The address is signed for an empty type, and urllib would name one.
    headers = {"Content-Type": ""}
    request = Request(url, json.dumps(body).encode(), headers, method="PUT")  # noqa: S310  # checked above
    with urlopen(request, timeout=_ANSWER):  # noqa: S310
        pass
