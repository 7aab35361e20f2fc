"""Reads removals.toml: which edits take each protection out of the source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

CAUGHT = 10  # exit status of a run that noticed it; pytest itself does not use it
# The class must pass under this one, or being caught would mean nothing.
HARMLESS = "test_addresses.py::TestRedirectCheckFooledBySpelling: nothing is missing"


@dataclass(frozen=True, slots=True)
class Edit:
    """Puts `new` in the place of `old`, which stands once in the module."""

    module: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        times = source.count(self.old)
        if times != 1:
            raise ValueError(f"{self.module} has {self.old!r} {times} times: mend this removal")
        return source.replace(self.old, self.new)


def edit(module: str, old: str, new: str) -> Edit:
    return Edit(f"opencode_relay.{module}", old, new)


TABLE: dict[str, dict[str, list[list[str]]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text("utf-8")
)


def edits_of(name: str) -> list[Edit]:
    return [] if name == HARMLESS else removals()[name]


def removals() -> dict[str, list[Edit]]:
    """Return every removal by its name, `FILE::CLASS: WHAT IS MISSING`."""
    return {
        f"{threat}: {missing}": [edit(*one) for one in edits]
        for threat, ways in TABLE.items()
        for missing, edits in ways.items()
    }
