"""What happened: one structured log line an event, and the metrics that are counted from them.

Only the fields named at a call are logged; none of them is ever a state, a code, a verifier or a
key.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Protocol

_LOG = logging.getLogger("opencode_relay")
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class Metrics(Protocol):
    """Where events are counted: Prometheus on one machine."""

    def count(self, event: str, outcome: str) -> None: ...

    def seconds_to_collection(self, seconds: float) -> None: ...


class NoMetrics:
    def count(self, event: str, outcome: str) -> None: ...

    def seconds_to_collection(self, seconds: float) -> None: ...


class Events:
    """Tells the log and the metrics."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or NoMetrics()

    def tell(
        self,
        event: str,
        outcome: str = "",
        *,
        login_id: str | None = None,
        level: int = logging.INFO,
        wrong: Exception | None = None,
        **fields: str | float | None,
    ) -> None:
        """Count `event` by `outcome` and write its line; of `wrong` only its kind and places."""
        self.metrics.count(event, outcome)
        if _LOG.isEnabledFor(level):
            known = {"outcome": outcome, "login_id": login_id, **fields}
            more = {name: value for name, value in known.items() if value not in {None, ""}}
            _LOG.log(level, event, exc_info=wrong, extra={"fields": more})


class JSONLines(logging.Formatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `event` and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            # The text of an unforeseen exception, or a local in its traceback, could be a secret.
            line["exception"] = record.exc_info[0].__name__
            line["where"] = where(record)
        return _ENCODER.encode(line)


def _rfc3339(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def where(record: logging.LogRecord) -> list[str]:
    """Name the innermost places of a record's exception: file, line and function."""
    trace = record.exc_info[2] if record.exc_info else None
    places = []
    while trace:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-8:]


def log_to_stderr(level: str) -> None:
    """Send every log line of the process, uvicorn's too, to stderr as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # What no line shows need not be found out for each (Python's logging HOWTO, optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # as it says there: who called is not looked for
    for library in ("httpx", "botocore", "urllib3"):  # botocore's debug is all that is sent
        logging.getLogger(library).setLevel(logging.WARNING)
