"""The first 300 callbacks of a server that has just started, beside its peers' first 300.

What `callbacks` measures, without warming anybody up: each round starts every contender anew. A
relay of a few people sees a few logins an hour between two updates, so that both tables matter, and
neither stands for the other. Node compiles what it runs often, and so gains most from a warm-up;
the relay is warmed a little here too, for its logins are opened before their callbacks, and its
three rows share a server.
"""

import contextlib

from benchmarks.harness.results import Result
from benchmarks.harness.rounds import Plan, Rows, rounds
from benchmarks.tables import callbacks

FIRST = 300


class Once(Plan):
    @property
    def rounds(self) -> int:
        return 1


def measure(plan: Plan) -> Result:
    rows: Rows = {}
    for _ in range(plan.rounds):
        with contextlib.ExitStack() as stack:
            found = rounds(callbacks.operations(stack), FIRST, Once(quick=plan.quick))
        for row, columns in found.items():
            for column, values in columns.items():
                rows.setdefault(row, {}).setdefault(column, []).extend(values)
    return Result("The first 300 callbacks", rows, callbacks.GOALS, callbacks.versions())
