"""People who sign in, and instances that wait for them: times, questions, delays. No limits yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opencode_relay.login import Confirmation, Delivery, Login, Status
from opencode_relay.pace import retry_after

from .assumptions import LATENCY, People

Seconds = NDArray[np.float64]
Pace = Callable[[Login, float], float]  # (login, now) → seconds, as the relay has it
_SPREAD = 16  # of the share on the page: a mean of 0.25 gets a deviation of 0.1
_LONGEST = 2000  # seconds, more than any login lives


def login_at(opened_at: float, arrived_at: float | None) -> Login:
    return Login(
        id="x",
        status=Status.PENDING,
        delivery=Delivery.POLL,
        confirmation=Confirmation.PAIRING_CODE,
        collect_challenge=None,
        encryption_key=None,
        opened_at=opened_at,
        opened_from=None,
        expires_at=opened_at + _LONGEST,
        arrived_at=arrived_at,
    )


@dataclass(frozen=True)
class Schedule:
    """When an instance asks. `ask`: seconds to its next question where it was not held.

    `hold_before` and `hold_after` a browser's arrival: seconds that a question is held, in which
    the store is read at the pace `read`; a question that was held in vain is asked again at once.
    """

    name: str
    ask: Pace = lambda *_: 0
    hold_before: float = 0
    hold_after: float = 0
    read: Pace = lambda *_: 1
    first: float = 0  # seconds from opening to the first question
    memory: int | None = None  # MB of the function that holds, if another than the template's

    def tables(self, pace_of: Pace) -> tuple[Seconds, Seconds]:
        """Ask the relay's own function for every whole second: before, and since the arrival."""
        before = [pace_of(login_at(0, None), age) for age in range(_LONGEST)]
        after = [pace_of(login_at(0, 100), 100 + since) for since in range(_LONGEST)]
        return np.array(before, float), np.array(after, float)


def of_the_code(name: str, max_wait: float, first: float = 0) -> Schedule:
    """The schedule that the relay's code makes of `MaxWait`."""
    return Schedule(
        name,
        ask=retry_after,
        hold_before=max_wait,
        hold_after=max_wait,
        read=retry_after,
        first=first,
    )


@dataclass(frozen=True)
class Logins:
    """Seconds from opening; inf for what never happens."""

    arrived: Seconds
    released: Seconds
    lifetime: float

    def __len__(self) -> int:
        return len(self.arrived)


def sign_in(people: People, number: int, random: np.random.Generator) -> Logins:
    sigma = np.log(people.p90 / people.median) / NormalDist().inv_cdf(0.9)
    whole = people.median * np.exp(sigma * random.standard_normal(number))
    share = random.beta(people.on_page * _SPREAD, (1 - people.on_page) * _SPREAD, number)
    arrived, released = whole * (1 - share), whole.copy()
    given_up = random.random(number) < people.abandoned
    before = given_up & (random.random(number) >= people.abandoned_on_page)
    released[given_up] = np.inf
    arrived[before] = np.inf
    late = released >= people.lifetime
    released[late] = np.inf
    arrived[arrived >= people.lifetime] = np.inf
    return Logins(arrived, released, people.lifetime)


@dataclass(frozen=True)
class Waited:
    """What waiting took: per login, and the delays of those delivered (seconds)."""

    questions: Seconds
    reads: Seconds
    held: Seconds  # seconds
    delays: Seconds

    @property
    def delivered(self) -> int:
        return len(self.delays)

    def per_delivered(self, what: Seconds) -> float:
        return float(what.sum()) / self.delivered

    def percentile(self, *percents: float) -> list[float]:
        return [float(p) for p in np.percentile(self.delays, percents)]


def _pace(tables: tuple[Seconds, Seconds], age: Seconds, since: Seconds) -> Seconds:
    before, after = tables
    known = np.clip(since, 0, _LONGEST - 1).astype(int)
    found: Seconds = np.where(since >= 0, after[known], before[age.astype(int)])
    return found


def wait(schedule: Schedule, logins: Logins, latency: float = LATENCY) -> Waited:
    """Let every login's instance ask until it has its answer, or the login has expired."""
    ask, read = schedule.tables(schedule.ask), schedule.tables(schedule.read)
    number = len(logins)
    questions, reads, held = np.zeros(number), np.zeros(number), np.zeros(number)
    got = np.full(number, np.inf)
    now = np.full(number, float(schedule.first))  # when the store is read next
    until = np.full(number, -1.0)  # end of the hold; -1: this read begins a question
    left: NDArray[Any] = np.arange(number)
    while left.size:
        at = now[left]
        new = until[left] < 0
        questions[left] += new
        reads[left] += 1
        released, over = at >= logins.released[left], at >= logins.lifetime
        got[left[released]] = at[released] + latency / 2
        going = ~(released | over)
        left, at, new = left[going], at[going], new[going]
        since = at - logins.arrived[left]
        arrived = since >= 0

        hold = np.where(arrived, schedule.hold_after, schedule.hold_before)
        end = np.where(new, np.minimum(at + hold, logins.lifetime), until[left])
        holding = at < end
        step = np.where(holding, np.minimum(_pace(read, at, since), end - at), 0)
        held[left] += step
        # The relay reads once more when it begins to hold.
        reads[left] += holding & new
        pause = latency + np.where(hold > 0, 0, _pace(ask, at, since))
        now[left] = np.where(holding, at + step, at + pause)
        until[left] = np.where(holding, end, -1.0)
    done = np.isfinite(got)
    return Waited(questions, reads, held, got[done] - logins.released[done])
