"""What `serve` counts: every event of the code and of the page, from the start."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import opencode_relay
import pytest
from opencode_relay.login import OPEN, Confirmation, Status
from opencode_relay.machine.metrics import EVENTS, PrometheusMetrics
from opencode_relay.outcomes import Received

ROOT = Path(__file__).parents[2]
PACKAGE = Path(opencode_relay.__file__).parent


def test_each_is_there_before_it_happens() -> None:
    metrics = PrometheusMetrics(lambda: 0)
    read = metrics.registry.get_sample_value
    for event, outcomes in EVENTS.items():
        for outcome in outcomes:
            labels = {"event": event, "outcome": outcome}
            assert read("opencode_relay_events_total", labels) == 0


def test_they_are_what_the_code_tells() -> None:
    ours = [path for path in PACKAGE.rglob("*.py") if "aws" not in path.parts]
    sources = "".join(path.read_text() for path in ours)
    told = set(re.findall(r'(?:events|\))\.tell\(\s*"(\w+)"', sources))
    moves = {"released", "declined", "finished", "cancelled"}  # told as `change.values["status"]`
    assert set(EVENTS) == told | moves
    limits = re.findall(r'_limit_address\("(\w+)"|tell\("rate_limited", "(\w+)"', sources)
    assert set(EVENTS["rate_limited"]) == {"".join(one) for one in limits}
    moved = re.findall(r'_move\([^"]*"(\w+)"', sources)
    assert {one for name in moves for one in EVENTS[name]} == set(moved)


def test_their_outcomes_are_what_the_types_allow() -> None:
    pages = set(get_args(get_type_hints(Received)["page"]))
    assert set(EVENTS["opened"]) == set(Confirmation)
    assert pages < set(EVENTS["callback"])
    assert set(EVENTS["expired"]) == set(OPEN)
    assert set(EVENTS) & set(Status) == set(Status) - {"pending", "held"}


@pytest.mark.parametrize("event", EVENTS)
def test_the_page_has_it(event: str) -> None:
    page = (ROOT / "docs/operations.md").read_text().partition("The log has the same events")[2]
    rows = [
        row.split("|") for row in page.partition("Worth an alarm")[0].splitlines() if "|" in row
    ]
    [outcomes] = [row[2] for row in rows if f"`{event}`" in row[1]]
    for outcome in filter(None, EVENTS[event]):
        assert f"`{outcome}`" in outcomes
