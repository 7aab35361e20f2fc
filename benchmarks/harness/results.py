"""What a table found: figures with their spread, ratios, goals; as text and as JSON."""

import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .rounds import Rows

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Goal:
    """`row`'s figure divided by `peer`'s must be at most this much, in the median of the rounds.

    Without `at_most` the ratio is only shown.
    """

    row: str
    peer: str
    column: str
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One table. `versions` names what was measured; `details` is kept in the JSON only."""

    title: str
    rows: Rows
    goals: list[Goal]
    versions: dict[str, str]
    details: dict[str, Any] | None = None

    def ratios(self, goal: Goal) -> list[float]:
        """Return the rounds' own ratios: what else ran in a round slowed both of them alike."""
        mine, peers = self.rows[goal.row][goal.column], self.rows[goal.peer][goal.column]
        return [one / other for one, other in zip(mine, peers, strict=True)]

    def reached(self, goal: Goal) -> bool | None:
        """Whether a goal is met; None of a ratio that has no goal."""
        return None if goal.at_most is None else median(self.ratios(goal)) <= goal.at_most

    def met(self) -> bool:
        return all(self.reached(goal) is not False for goal in self.goals)

    def as_json(self, name: str) -> dict[str, Any]:
        rows = {
            row: {column: _spread(values) for column, values in columns.items()}
            for row, columns in self.rows.items()
        }
        goals = [
            {
                "row": goal.row,
                "peer": goal.peer,
                "column": goal.column,
                "ratio": _spread(self.ratios(goal)),
                "at_most": goal.at_most,
                "met": self.reached(goal),
            }
            for goal in self.goals
        ]
        return {
            "table": name,
            "title": self.title,
            "commit": commit(),
            "machine": machine(),
            "versions": self.versions,
            "rows": rows,
            "goals": goals,
            **({"details": self.details} if self.details else {}),
        }

    def as_text(self) -> str:
        return as_text(self.as_json(""))


def as_text(kept: dict[str, Any]) -> str:
    """Return a table in Markdown: medians, and the lowest and highest round.

    It is made from what the JSON keeps, so that what is printed is the same when it is made again.
    """
    columns = list(dict.fromkeys(column for row in kept["rows"].values() for column in row))
    lines = [kept["title"], "", _line("", *columns), "|---" * (len(columns) + 1) + "|"]
    for name, row in kept["rows"].items():
        lines.append(_line(name, *(_cell(row.get(column)) for column in columns)))
    if kept["goals"]:
        lines += ["", _line("", "of", "in", "ratio", "goal", ""), "|---" * 6 + "|"]
    for goal in kept["goals"]:
        at_most = "–" if goal["at_most"] is None else f"≤ {goal['at_most']}"
        met = {True: "met", False: "**missed**", None: ""}[goal["met"]]
        named = [goal[name] for name in ("row", "peer", "column")]
        lines.append(_line(*named, _cell(goal["ratio"]), at_most, met))
    versions = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    return "\n".join([*lines, "", f"{versions}. {', '.join(kept['machine'].values())}."])


def commit() -> str:
    """Return the commit measured, with `+` where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    differs = subprocess.run(
        [*git, "diff", "--quiet", "HEAD", "--", "functions", "benchmarks"],
        capture_output=True,
        check=False,
    )
    return (head.stdout.strip() or "unknown") + ("+" if differs.returncode else "")


def machine() -> dict[str, str]:
    cpus = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": f"{len(cpus)} cores of {cpus[0] if cpus else platform.machine()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"Python {platform.python_version()}",
    }


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "median": _round(median(values)),
        "lowest": _round(min(values)),
        "highest": _round(max(values)),
        "rounds": [_round(value) for value in values],
    }


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _cell(spread: dict[str, Any] | None) -> str:
    if not spread:
        return ""
    middle, *ends = (_short(spread[name]) for name in ("median", "lowest", "highest"))
    return f"{middle} ({'–'.join(ends)})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
