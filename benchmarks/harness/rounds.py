"""Rounds in turns, void rounds repeated, medians and spread."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Protocol

from . import client
from .processes import Server

CLIENT_SHARE = 0.8  # of its core; beyond, the client and not the server sets the pace
TRIES = 5  # at a round whose client was too busy
SETTLE = 0.05  # seconds for what a server does after its last answer

CPU, P50, P99, SHARE = "server CPU, µs", "p50, ms", "p99, ms", "client's share of its core"

Rows = dict[str, dict[str, list[float]]]  # row → column → one figure a round


class Wrong(Exception):
    """A contender did not do what is measured: its figures would be of something else."""


class Busy(Exception):
    """The client itself was the bottleneck, again and again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. A quick run proves that everything runs, and no more."""

    quick: bool = False

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 7

    def count(self, usual: int) -> int:
        """Return how many operations of a kind a round has."""
        return min(usual, 12) if self.quick else usual


class Operation(Protocol):
    """What one row measures. `prepare` and `check` are outside the measurement."""

    server: Server

    def prepare(self, count: int) -> None:
        """Make ready what `count` operations need."""

    def run(self) -> list[float]:
        """Carry them out, and return the seconds that each took."""

    def check(self) -> None:
        """Raise Wrong unless each did what it should."""


@dataclass
class Requests:
    """An operation that is one request: made by `make(count)`, its answer judged by `judge`."""

    server: Server
    make: Callable[[int], Sequence[bytes]]
    judge: Callable[[client.Answer], bool]
    connections: int = 1
    requests: Sequence[bytes] = ()
    answers: list[client.Answer] = field(default_factory=list)

    def prepare(self, count: int) -> None:
        self.requests = self.make(count)

    def run(self) -> list[float]:
        self.answers = client.exchange(self.server.port, self.requests, self.connections)
        return [answer.seconds for answer in self.answers]

    def check(self) -> None:
        for sent, answer in zip(self.requests, self.answers, strict=True):
            if not self.judge(answer):
                raise Wrong(f"{sent[:300]!r} was answered {answer.raw[:2000]!r}")


def rounds(operations: dict[str, Operation], count: int, plan: Plan, warm: int = 0) -> Rows:
    """Measure the operations in turns, after `warm` operations each that count for nothing."""
    rows: Rows = {name: {} for name in operations}
    for operation in operations.values():
        if warm:
            _once(operation, plan.count(warm))
    for number in range(plan.rounds):
        names = list(operations)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            for column, value in _valid(operations[name], plan.count(count)).items():
                rows[name].setdefault(column, []).append(value)
    return rows


def _valid(operation: Operation, count: int) -> dict[str, float]:
    for _ in range(TRIES):
        figures = _once(operation, count)
        if figures[SHARE] <= CLIENT_SHARE:
            return figures
    raise Busy(
        f"The client used over {CLIENT_SHARE:.0%} of its core in {TRIES} rounds running: is "
        "anything else running on this machine?"
    )


def _once(operation: Operation, count: int) -> dict[str, float]:
    operation.prepare(count)
    cpu, own, wall = operation.server.cpu(), time.process_time(), time.perf_counter()
    seconds = operation.run()
    share = (time.process_time() - own) / (time.perf_counter() - wall)
    time.sleep(SETTLE)
    cpu = operation.server.cpu() - cpu
    operation.check()
    if len(seconds) != count:
        raise Wrong(f"{len(seconds)} operations were carried out instead of {count}.")
    return {
        CPU: cpu / count * 1e6,
        P50: median(seconds) * 1e3,
        P99: quantiles(seconds, n=100, method="inclusive")[98] * 1e3,
        SHARE: share,
    }
