"""What `doctor` and `status` print: a row for each check."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from rich.console import Console

from opencode_relay.cli.shown import as_text

from .checks import Check, Finding

_WRONG, _NOT_ALL, _INTERRUPTED = 1, 3, 130  # exit status; 2 is a wrong command line's
SumUp = Callable[[Sequence[Finding]], str | None]
_MARKS = {True: "✓", False: "✗", None: "-"}
_SUMS = {
    True: "All is well.",
    False: "Something has to be mended: see the ✗ above.",
    None: "What was tried is well; not everything could be tried: see the - above.",
}


class Told:
    """Rows, each as it is found; with JSON all of them at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._findings: list[Finding] = []
        self._progress = Console(stderr=True).status("")

    @property
    def well(self) -> bool | None:
        found = {finding.ok for finding in self._findings}
        return False if False in found else None if None in found else True

    def begins(self, check: Check) -> None:
        """Say on a terminal what is being looked at."""
        takes = f", which takes {check.slow:.0f} seconds" if check.slow else ""
        self._progress.update(f"{check.name}{takes} …")
        self._progress.start()

    def all_of(self, run: Iterable[Finding]) -> None:
        try:
            for finding in run:
                self._progress.stop()
                self._findings.append(finding)
                if not self._as_json:
                    mark, seen = _MARKS[finding.ok], as_text(finding.seen)
                    print(f"{mark} {finding.check:32} {seen}", flush=True)
        finally:
            self._progress.stop()

    def run(self, runs: Iterable[Iterable[Finding]], sum_up: SumUp | None = None) -> NoReturn:
        """Tell all of it, and end the program with what came of it.

        `sum_up` may have a better last sentence than the usual one.
        """
        try:
            for run in runs:
                self.all_of(run)
        except KeyboardInterrupt:
            self.end(interrupted=True)
            sys.exit(_INTERRUPTED)
        self.end(sum_up(self._findings) if sum_up else None)
        sys.exit({True: 0, False: _WRONG, None: _NOT_ALL}[self.well])

    def end(self, said: str | None = None, *, interrupted: bool = False) -> None:
        well = False if self.well is False else None if interrupted else self.well
        if self._as_json:
            rows = [{"check": f.check, "ok": f.ok, "seen": f.seen} for f in self._findings]
            print(json.dumps({"ok": well, "checks": rows}))
        else:
            print(
                "Interrupted: the checks that are not above were not made."
                if interrupted
                else said or _SUMS[well]
            )
