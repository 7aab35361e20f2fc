"""Makes the keys when the stack is deployed, rotates them on schedule, removes them with the stack.

As a custom resource it answers CloudFormation at the address that the event names.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any
from urllib.request import Request, urlopen

from opencode_relay.errors import StoreUnavailable
from opencode_relay.events import Events
from opencode_relay.keys.parameters import KeyParameters

from .function import client
from .log import CloudWatchLog
from .metrics import EMFMetrics

_ANSWER = 10  # seconds


def handler(event: dict[str, Any], context: Any) -> None:
    """Handle a schedule's event, or a custom resource's: then failure is told, not raised."""
    CloudWatchLog(os.environ.get("RELAY_LOG_LEVEL", "info")).begin(event, context)
    path = os.environ["KEYS_PATH"]
    parameters = KeyParameters(client("ssm"), path)
    if "ResponseURL" not in event:
        metrics = EMFMetrics()
        if parameters.rotate_if_due():  # raises, and so counts as an error, for the alarm
            Events(metrics).tell("keys_rotated")
        metrics.flush()
        return
    reason = ""
    try:
        if event["RequestType"] == "Delete":
            parameters.remove()
        else:
            parameters.make()
    except StoreUnavailable as wrong:
        reason = str(wrong)
        logging.getLogger("opencode_relay").exception("keys_not_made")
    _answer(event, path, reason)


def _answer(event: dict[str, Any], path: str, reason: str) -> None:
    body = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason or "done",
        # The same at every update: another one would make CloudFormation delete the old "resource".
        "PhysicalResourceId": path,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    url = event["ResponseURL"]
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError("CloudFormation's answer address must be https")
    request = Request(url, json.dumps(body).encode(), method="PUT")  # noqa: S310  # checked above
    with urlopen(request, timeout=_ANSWER):  # noqa: S310
        pass
