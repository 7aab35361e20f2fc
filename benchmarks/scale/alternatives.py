"""The schedules that are set side by side: what was, what could have been, and the code's own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from opencode_relay.login import Login

from .assumptions import Template
from .waiting import Pace, Schedule, of_the_code

FIRST = 8  # seconds until the plugin's first question to a relay that holds nobody
CHOSEN, AT_ONCE, HELD = "chosen", "chosen, asked at once", "held 20 s"


def _by_arrival(before: float, after: float) -> Pace:
    return lambda login, _: before if login.arrived_at is None else after


def _growing(least: int, before: int, after: int, slowest: int = 30) -> Pace:
    def pace(login: Login, now: float) -> float:
        if login.arrived_at is None:
            return min(slowest, max(least, int(now - login.opened_at) // before))
        return min(slowest, max(1, int(now - login.arrived_at) // after))

    return pace


def named(template: Template) -> Iterator[Schedule]:
    """Those that the table shows. "Then": once a browser came back."""
    yield of_the_code(CHOSEN, template.max_wait, FIRST)
    yield of_the_code(AT_ONCE, template.max_wait)
    reads = _by_arrival(3, 0.5)
    for memory in (256, 128):
        name = f"{HELD}, {memory} MB"
        yield Schedule(name, hold_before=20, hold_after=20, read=reads, memory=memory)
    for memory in (256, 128):
        yield Schedule(
            f"growing, then {HELD}, {memory} MB",
            ask=_growing(8, 4, 8),
            hold_after=20,
            read=reads,
            first=FIRST,
            memory=memory,
        )
    for seconds in (1, 2, 3, 5, 10):
        yield Schedule(f"every {seconds} s", ask=_by_arrival(seconds, seconds))
    yield Schedule("every 2 s, then every second", ask=_by_arrival(2, 1))
    yield Schedule("every 5 s, then every second", ask=_by_arrival(5, 1))


def family(*, quick: bool) -> Iterator[Schedule]:
    """The chosen one's relatives, for the frontier: other numbers in the same rule."""
    all_of = list(product((6, 8, 10), (3, 4, 6), (5, 8, 12)))
    for least, before, after in all_of[:2] if quick else all_of:
        name = f"{least} s, 1/{before}, 1/{after}"
        yield Schedule(name, ask=_growing(least, before, after), first=FIRST)
