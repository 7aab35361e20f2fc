"""The page's figures are those that were kept when they were measured."""

import json
import re
from typing import Any

import pytest

from benchmarks.harness.__main__ import KEPT, TABLES
from benchmarks.harness.results import as_text
from tests.docs.pages import read

PAGE = "docs/performance.md"
SOAKS = {"serve": "`serve`", "lambda": "the artifact", "dynamodb": "two over DynamoDB"}


def kept(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((KEPT / f"{name}.json").read_text("utf-8"))
    return found


def tables(text: str) -> list[str]:
    return re.findall(r"(?:^\|.*\n)+", f"{text}\n", re.MULTILINE)


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize("name", sorted(path.stem for path in TABLES.glob("[a-z]*.py")))
def test_tables_and_ratios_are_those_of_the_run_that_is_kept(name: str) -> None:
    """Mended by pasting what `benchmarks/run NAME --kept` prints."""
    made = tables(as_text(kept(name)))
    assert made
    for table in made:
        assert table in tables(read(PAGE)), table


@pytest.mark.parametrize("target", SOAKS)
def test_a_soak_has_met_what_the_page_says(target: str) -> None:
    [(head, _, *body)] = [one for one in map(rows, tables(read(PAGE))) if SOAKS[target] in one[0]]
    page = {row[0]: row[head.index(SOAKS[target])] for row in body}
    found = kept(f"soak-{target}")
    counts = {"logins": found["logins"]}
    for group in ("opened for", "became", "faults", "broken"):
        counts |= found[group]
        assert page.pop(f"**{group}**") == ""
    assert {what: page.pop(what, "missing") for what in counts} == {
        what: f"{times:,}" for what, times in counts.items()
    }
    assert set(page.values()) <= {"0", "–"}  # what another target met, and this one did not
