"""The busiest minutes of a day against AWS's limits: throttles, concurrency, how fast it grows.

Time goes by in steps of a tenth of a second. Whoever is refused tries again as the plugin does.
What browsers and instances ask for besides takes its share of the limits, and is not tried again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .assumptions import (
    ACCOUNT_BURST,
    ACCOUNT_CONCURRENCY,
    ACCOUNT_RATE,
    ENVIRONMENTS_A_SECOND,
    ENVIRONMENTS_AT_ONCE,
    LATENCY,
    PEAK,
    People,
    Template,
)
from .money import AFTER, milliseconds
from .waiting import Schedule, Seconds, sign_in

STEP = LATENCY  # seconds: nobody asks twice in one
_SLOWEST = 8  # seconds between a plugin's tries, before what is random is taken off
_FEW = 200  # environments up to which chance decides, rather than the mean alone
COLLECT = "collect"
# The other routes by the moment at which they are asked for.
_AT_OPENING, _AT_ARRIVAL = ("discovery", "open"), ("callback",)
_AT_RELEASE, _AT_END = ("confirm", "done"), ("jwks", "finish")
ROUTES = (COLLECT, *_AT_OPENING, *_AT_ARRIVAL, *_AT_RELEASE, *_AT_END)


@dataclass(frozen=True, kw_only=True)
class Limits:
    route_rate: float = 50  # the template's ThrottleRate and ThrottleBurst
    route_burst: float = 100
    account_rate: float = ACCOUNT_RATE
    account_burst: float = ACCOUNT_BURST
    concurrency: int = ACCOUNT_CONCURRENCY
    reserved: int = 0  # the template's CollectConcurrency


class Bucket:
    """API Gateway's token bucket."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self.tokens = burst

    def fill(self, seconds: float) -> None:
        self.tokens = min(self._burst, self.tokens + self._rate * seconds)

    def take(self, wanted: int) -> int:
        given = min(wanted, int(self.tokens))
        self.tokens -= given
        return given


def refused_share(busy: float, places: float) -> float:
    """Return the share that finds no place, where `busy` places would be taken on average.

    Erlang's loss formula; for many places its limit.
    """
    if places < 1:
        return 1.0
    if busy + 6 * sqrt(busy) < places:
        return 0.0
    if places > _FEW:
        return max(0.0, 1 - places / busy)
    inverse = 1.0
    for place in range(1, int(places) + 1):
        inverse = 1 + inverse * place / busy
    return 1 / inverse


@dataclass
class Loaded:
    """What was seen in the measured minutes."""

    questions: int = 0
    throttled: int = 0  # 429
    unavailable: int = 0  # 503
    others: int = 0
    others_refused: int = 0
    most_requests: float = 0  # a second, in the busiest second
    most_questions: float = 0
    most_busy: float = 0
    delays: Seconds = field(default_factory=lambda: np.zeros(0))

    @property
    def share_429(self) -> float:
        return self.throttled / max(1, self.questions)

    @property
    def share_503(self) -> float:
        return self.unavailable / max(1, self.questions)

    @property
    def share_of_others(self) -> float:
        return self.others_refused / max(1, self.others)


@dataclass(frozen=True)
class Minutes:
    """Which minutes: `warm` seconds until all is as it goes on, and those that are measured.

    In a surge, logins are opened so many times as often for the first 60 of these.
    """

    warm: float = 660
    measured: float = 300
    surge: float = 1
    tries_again: bool = True


def openings(rate: float, minutes: Minutes, random: np.random.Generator) -> Seconds:
    """Return when logins are opened: at random, `rate` a second."""
    end = minutes.warm + minutes.measured
    plain = random.uniform(0, end, random.poisson(rate * end))
    more = random.poisson(rate * 60 * (minutes.surge - 1))
    surge = random.uniform(minutes.warm, minutes.warm + 60, more)
    return np.sort(np.concatenate([plain, surge]))


def peak_rate(logins_a_day: float) -> float:
    """Return logins a second in the busiest hour."""
    return logins_a_day / 86400 * PEAK


class Day:
    """One run. `rate` is of logins opened a second."""

    def __init__(
        self,
        schedule: Schedule,
        people: People,
        limits: Limits,
        rate: float,
        template: Template,
        random: np.random.Generator,
        minutes: Minutes = Minutes(),  # frozen
    ) -> None:
        self._schedule, self._limits, self._random, self._minutes = (
            schedule,
            limits,
            random,
            minutes,
        )
        self._holds = schedule.hold_before > 0
        self._ask = schedule.tables(schedule.ask)
        self._read = schedule.tables(schedule.read)
        opened = openings(rate, minutes, random)
        logins = sign_in(people, len(opened), random)
        self._opened = opened
        self._arrived = opened + logins.arrived
        self._released = opened + logins.released
        self._over = opened + logins.lifetime
        self._next = opened + schedule.first
        self._troubles = np.zeros(len(opened), int)
        self._got = np.full(len(opened), np.inf)
        self._steps = int((minutes.warm + minutes.measured) / STEP)
        self._held_until = np.zeros(self._steps + 400)  # how many leave in each step
        self._buckets = {route: Bucket(limits.route_rate, limits.route_burst) for route in ROUTES}
        self._account = Bucket(limits.account_rate, limits.account_burst)
        self._growth = Bucket(ENVIRONMENTS_A_SECOND, ENVIRONMENTS_AT_ONCE)
        self._warm = 0.0  # environments of collect that are there
        self._question = milliseconds(AFTER, template) / 1000
        self._other = {
            route: milliseconds(route, template) / 1000 for route in ROUTES if route != COLLECT
        }
        self.found = Loaded()

    def run(self) -> Loaded:
        others = {
            route: self._by_step(times)
            for routes, times in (
                (_AT_OPENING, self._opened),
                (_AT_ARRIVAL, self._arrived),
                (_AT_RELEASE, self._released),
                (_AT_END, self._released),
            )
            for route in routes
            for times in (times,)
        }
        held, asked, first = 0.0, np.zeros((self._steps, 2)), 0
        for step in range(self._steps):
            now = step * STEP
            held -= self._held_until[step]
            while first < len(self._over) and self._over[first] + 60 < now:
                first += 1
            last = int(np.searchsorted(self._opened, now + STEP))
            window = np.arange(first, last)
            ids = window[self._next[first:last] < now + STEP]
            wanted = {route: int(counts[step]) for route, counts in others.items()}
            asked[step] = len(ids), len(ids) + sum(wanted.values())
            answered, busy = self._admit(ids, wanted, held, seen=now >= self._minutes.warm)
            held += self._answer(answered)
            if now >= self._minutes.warm:
                self.found.most_busy = max(self.found.most_busy, busy + held)
        self._sum_up(asked)
        return self.found

    def _by_step(self, times: Seconds) -> NDArray[np.int64]:
        steps = (times[times < self._steps * STEP] / STEP).astype(int)
        return np.bincount(steps, minlength=self._steps)

    def _admit(
        self, ids: NDArray[np.int64], wanted: dict[str, int], held: float, *, seen: bool
    ) -> tuple[NDArray[np.int64], float]:
        """Let the throttles and the concurrency refuse; return whose question is answered."""
        for bucket in (*self._buckets.values(), self._account):
            bucket.fill(STEP)
        self._growth.fill(STEP)
        ids = self._random.permutation(ids)
        passed = {route: self._buckets[route].take(count) for route, count in wanted.items()}
        questions = self._buckets[COLLECT].take(len(ids))
        total = questions + sum(passed.values())
        share = self._account.take(total) / max(1, total)
        questions = round(questions * share)
        others = {route: count * share for route, count in passed.items()}
        busy_others = sum(count * self._other[route] / STEP for route, count in others.items())
        places = self._places(busy_others) - held
        if self._holds:  # each keeps its place
            busy, lost = 0.0, max(0, questions - max(0, int(places)))
        else:
            busy = questions * self._question / STEP
            lost = self._random.binomial(questions, refused_share(busy, places)) if questions else 0
            busy *= 1 - lost / max(1, questions)
        self._grow(held + busy)
        for_others = self._limits.concurrency - (self._limits.reserved or held + busy)
        lost_others = refused_share(busy_others, for_others) if busy_others else 0.0
        self._refuse(ids[questions - lost :])
        if seen:
            self.found.questions += len(ids)
            self.found.throttled += len(ids) - questions
            self.found.unavailable += lost
            self.found.others += sum(wanted.values())
            got_through = sum(others.values()) * (1 - lost_others)
            self.found.others_refused += sum(wanted.values()) - round(got_through)
        return ids[: questions - lost], busy + busy_others * (1 - lost_others)

    def _places(self, busy_others: float) -> float:
        limits = self._limits
        most = limits.reserved or limits.concurrency - busy_others
        return min(most, self._warm + self._growth.tokens)

    def _grow(self, busy: float) -> None:
        if busy > self._warm:
            self._growth.tokens = max(0.0, self._growth.tokens - (busy - self._warm))
            self._warm = busy

    def _refuse(self, ids: NDArray[np.int64]) -> None:
        pause = np.minimum(2.0 ** self._troubles[ids], _SLOWEST)
        pause *= 1 - self._random.random(len(ids)) / 2
        self._troubles[ids] += 1
        self._next[ids] += pause + LATENCY if self._minutes.tries_again else np.inf

    def _answer(self, ids: NDArray[np.int64]) -> int:
        """Answer questions; return how many are held instead."""
        self._troubles[ids] = 0
        at = self._next[ids]
        released = at >= self._released[ids]
        self._got[ids[released]] = at[released] + LATENCY / 2
        self._next[ids[released | (at >= self._over[ids])]] = np.inf
        going = ~released & (at < self._over[ids])
        ids, at = ids[going], at[going]
        since = at - self._arrived[ids]
        came, age = since >= 0, at - self._opened[ids]
        after = np.clip(since, 0, None).astype(int)
        hold = np.where(came, self._schedule.hold_after, self._schedule.hold_before)
        holding = hold > 0
        asks = np.where(came, self._ask[1][after], self._ask[0][age.astype(int)])
        # A release is seen at the next reading of the store.
        late = self._random.random(len(ids)) * self._read[1][after]
        until = np.minimum(at + hold, self._over[ids])
        seen = self._released[ids] + late
        held_to_it = holding & (seen < until)
        self._got[ids[held_to_it]] = seen[held_to_it] + LATENCY / 2
        self._next[ids] = np.where(
            held_to_it, np.inf, np.where(holding, until, at + asks) + LATENCY
        )
        ends = np.minimum(seen, until)[holding] / STEP
        np.add.at(self._held_until, np.minimum(ends.astype(int) + 1, len(self._held_until) - 1), 1)
        return int(holding.sum())

    def _sum_up(self, asked: NDArray[np.float64]) -> None:
        second = round(1 / STEP)
        begin = int(self._minutes.warm / STEP)
        whole = asked[begin:][: (self._steps - begin) // second * second]
        a_second = whole.reshape(-1, second, 2).sum(axis=1)
        self.found.most_questions, self.found.most_requests = a_second.max(axis=0)
        mine = (self._released >= self._minutes.warm) & np.isfinite(self._got)
        self.found.delays = self._got[mine] - self._released[mine]
