"""The log on AWS: the same events as on one machine, in the lines of Powertools' Logger.

Each names the service (the stack), Lambda's request id, and API Gateway's as `correlation_id`.
"""

from __future__ import annotations

import logging
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from opencode_relay.events import where


class Lines(LambdaPowertoolsFormatter):
    """Of an exception its kind and places, never its words: they could hold a secret."""

    def format(self, record: logging.LogRecord) -> str:
        vars(record).pop("taskName", None)
        if record.exc_info and record.exc_info[0]:
            vars(record).update(
                exception_name=record.exc_info[0].__name__,
                where=where(record),
                exc_info=None,
                exc_text=None,
            )
        return super().format(record)


class CloudWatchLog:
    """Takes every logger's lines; one for a process."""

    def __init__(self, level: str) -> None:
        order = ["level", "message"]
        lines = Lines(log_record_order=order, utc=True, use_rfc3339=True, location=None)
        self._logger = Logger(level=level.upper(), logger_formatter=lines)
        root = logging.getLogger()
        root.handlers = [self._logger.registered_handler]
        root.setLevel(level.upper())
        logging.getLogger("botocore").setLevel(logging.WARNING)
        # At `info` it logs each path, with ids of logins.
        logging.getLogger("mangum").setLevel(logging.ERROR)

    def begin(self, event: dict[str, Any], context: Any) -> None:
        """Name the request in every line from now on, and no earlier one."""
        asked = event.get("requestContext", {}).get("requestId")
        running = getattr(context, "aws_request_id", None)
        self._logger.append_keys(function_request_id=running, correlation_id=asked)
