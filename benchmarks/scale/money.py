"""Dollars: what was counted, times the prices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .assumptions import (
    EVENT_BYTES,
    KEPT_SHARE,
    PLATFORM_BYTES,
    PLATFORM_LINES,
    PRICES,
    SECONDS_A_MONTH,
    STORE_MS,
    VCPU_MB,
    Template,
)

MEASURED = Path(__file__).with_name("measured.json")
MILLION = 1_000_000
BEFORE, AFTER = "poll before a browser came", "poll after a browser came"
# What a login takes beside the questions that find nothing. The plugin reads discovery for each
# login, and the keys unless it has done so in the last five minutes: here always.
BY_POLL = ("discovery", "open", "callback", "confirm", "done", "collect", "jwks", "finish")
BY_REDIRECT = ("discovery", "open, redirect", "callback, redirect", "jwks", "finish, redirect")
# Of one that is given up: opened, and at its end deleted, which is a reading like a question.
GIVEN_UP = ("discovery", "open", BEFORE)


@cache
def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MEASURED.read_text())
    return found


@dataclass(frozen=True)
class Bill:
    """Dollars, by what they are paid for."""

    api: float = 0
    invocations: float = 0
    working: float = 0  # GB-seconds
    held: float = 0  # GB-seconds of questions that are held
    writes: float = 0
    reads: float = 0
    logs: float = 0

    def __add__(self, other: Bill) -> Bill:
        return Bill(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def __mul__(self, times: float) -> Bill:
        return Bill(**{name: value * times for name, value in vars(self).items()})

    @property
    def total(self) -> float:
        return float(sum(vars(self).values()))


def milliseconds(kind: str, template: Template) -> float:
    """Return what Lambda bills for a warm invocation: CPU at the memory's share, and the store."""
    one = measured()["requests"][kind]
    share = template.memory[one["function"]] / VCPU_MB
    cpu: float = one["cpu_ms"] / min(1, share)
    store: float = one["store_trips"] * STORE_MS
    return cpu + store + 0.5  # rounded up to whole ones: half of one, on average


def logged(count: float, lines: float, days: float = 30) -> float:
    """Return the dollars of so many bytes in so many lines, kept for some days."""
    gigabytes = (count + lines * EVENT_BYTES) / 1e9
    kept = PRICES["logs, a GB kept for a month"] * KEPT_SHARE * days / 30
    return gigabytes * (PRICES["logs, a GB taken in"] + kept)


def request(kind: str, template: Template) -> Bill:
    one = measured()["requests"][kind]
    gigabytes = template.memory[one["function"]] / 1024
    text, lines = one["log_bytes"] + one["access_bytes"], one["log_lines"] + 1
    if template.platform_logs:
        text, lines = text + PLATFORM_BYTES, lines + PLATFORM_LINES
    return Bill(
        api=PRICES["HTTP API, a request"],
        invocations=PRICES["Lambda, a request"],
        working=milliseconds(kind, template) / 1000 * gigabytes * PRICES["Lambda, a GB-second"],
        writes=one["write_units"] * PRICES["DynamoDB on demand, a write unit"],
        reads=one["read_units"] * PRICES["DynamoDB on demand, a read unit"],
        logs=logged(text, lines),
    )


def requests(kinds: tuple[str, ...], template: Template) -> Bill:
    return sum((request(kind, template) for kind in kinds), Bill())


def held(seconds: float, reads: float, memory: int) -> Bill:
    """Return what holding costs, beside the request: the function's time, and its further reads."""
    return Bill(
        held=seconds * memory / 1024 * PRICES["Lambda, a GB-second"],
        reads=reads * PRICES["DynamoDB on demand, a read unit"],
    )


def by_poll(  # what a million delivered logins cost
    template: Template,
    *,
    questions: float,
    reads: float = 0,
    held_seconds: float = 0,
    abandoned: float = 0.1,
    memory: int | None = None,
) -> Bill:
    """`questions`, `reads` beyond one a question, and `held_seconds`: a delivered login's."""
    lost = abandoned / (1 - abandoned)
    # The last question is the one that collects: it is among BY_POLL.
    bill = requests(BY_POLL, template) + requests(GIVEN_UP, template) * lost
    bill += request(BEFORE, template) * max(0, questions - 1)
    where = memory or template.memory["CollectFunction"]
    return (bill + held(held_seconds, reads, where)) * MILLION


def by_redirect(template: Template, abandoned: float = 0.1) -> Bill:
    lost = abandoned / (1 - abandoned)
    given_up = requests(("discovery", "open, redirect", BEFORE), template)
    return (requests(BY_REDIRECT, template) + given_up * lost) * MILLION


def all_cold(template: Template) -> float:
    """Return dollars that a million logins cost more if each of them starts all three functions."""
    gb_seconds = sum(
        one["start_cpu_ms"]
        / 1000
        / min(1, template.memory[name] / VCPU_MB)
        * template.memory[name]
        / 1024
        for name, one in measured()["functions"].items()
    )
    return float(gb_seconds * PRICES["Lambda, a GB-second"] * MILLION)


def idle(template: Template, *, snapstart: bool = False) -> dict[str, float]:
    """Return dollars a month of a relay that nobody uses."""
    found = {
        "alarms (18; ten are free in an account)": 18 * PRICES["alarm's metric, a month"],
        "dashboard (three are free in an account)": PRICES["dashboard beyond three, a month"],
        "storage (tables and logs, 10 MB)": 0.01 * PRICES["table storage, a GB-month"],
        "the daily look at the keys": 30 * (2 * PRICES["Lambda, a GB-second"]),
    }
    if snapstart:
        gigabytes = sum(template.memory[name] for name in measured()["functions"]) / 1024
        price = PRICES["SnapStart, a GB-second of cache"] * SECONDS_A_MONTH
        found["SnapStart's cache"] = gigabytes * price
    return found
