"""What `doctor`'s checks are made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from opencode_relay import outgoing
from opencode_relay.errors import RelayError

PATIENCE = 30.0  # seconds that a check may take
_LONGEST = 600  # characters of what was seen: a server's words can be of any length
RUN = 180.0  # seconds that all of them may take, beside what those take that must be slow


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw; `ok` is None where it could not be made."""

    check: str
    ok: bool | None
    seen: str


class Wrong(RelayError):  # a finding, told in a table
    """A check failed; the sentence says what to change."""


class NotTried(RelayError):
    """A check could not be made; the sentence says what it needs."""


class Enough(RelayError):  # a finding, told in a table
    """All is known; the checks that follow have nothing to look at."""

    def __init__(self, seen: str, *, ok: bool | None = True) -> None:
        super().__init__(seen)
        self.ok = ok


@dataclass(frozen=True, slots=True)
class Check:
    """`look` returns what it saw. A `slow` one takes so many seconds more than others."""

    name: str
    look: Callable[[], str]
    slow: float = 0.0


def carry_out(
    checks: Sequence[Check], *, needed: int, begins: Callable[[Check], object] = lambda _: None
) -> Iterator[Finding]:
    """Make each check as it is asked for; the first `needed` must hold, or the rest are not tried.

    `begins` is told of each that is made.
    """
    until = time.monotonic() + RUN + sum(check.slow for check in checks)
    good = True
    for number, check in enumerate(checks):
        left = min(PATIENCE + check.slow, until - time.monotonic())
        if not good or left <= 0:
            why = "not tried" if left > 0 else "not tried: the time is used up"
            yield Finding(check.name, None, why)
            continue
        begins(check)
        try:
            finding = _made(check, left)
        except Enough as enough:
            yield Finding(check.name, enough.ok, str(enough)[:_LONGEST])
            return
        good = good and (number >= needed or finding.ok is not False)
        yield finding


def _made(check: Check, seconds: float) -> Finding:
    ok: bool | None = False
    try:
        ok, seen = True, outgoing.within(seconds, check.look)
    except Enough:
        raise
    except NotTried as missing:
        ok, seen = None, str(missing)
    except RelayError as wrong:
        seen = str(wrong)
    except Exception as wrong:  # noqa: BLE001  # no answer of a server may end the looking
        seen = why(wrong)
    return Finding(check.name, ok, seen[:_LONGEST])


def why(wrong: Exception) -> str:
    """Say what came instead of an answer."""
    if isinstance(wrong, TimeoutError | httpx.TimeoutException):
        return "No whole answer came in time."
    # A LocalProtocolError names the header, and what it holds, that cannot be sent.
    if isinstance(wrong, httpx.RequestError) and not isinstance(wrong, httpx.LocalProtocolError):
        return f"No usable answer: {wrong}."
    if isinstance(wrong, OSError) and wrong.filename:
        return f"{wrong.filename} cannot be read: {wrong.strerror}."
    return f"No usable answer ({type(wrong).__name__})."
