"""Relays on AWS in numbers: a million logins' cost, the delay that asking adds, and limits.

    uv run python -m benchmarks.scale [--quick] [--json FILE] [--plot DIR]

A simulation, not a measurement: nothing of it has run on AWS. What a request takes was measured on
the artifact (measured.json, by benchmarks.scale.measure); prices, limits and people are assumed,
all in assumptions.py; the schedule is the relay's own function, and the settings are
template.yaml's. Costs and delays are of functions that are warm, and of questions that nobody
refuses; refusals are in the last table. Ends with status 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import alternatives, containers, money
from .assumptions import (
    ACCOUNT_BURST,
    ACCOUNT_CONCURRENCY,
    ACCOUNT_RATE,
    FORMER,
    NEW_ACCOUNT_CONCURRENCY,
    People,
    Template,
    deployed,
)
from .load import Day, Limits, Minutes, peak_rate
from .waiting import Logins, Schedule, sign_in, wait

GOALS = {"dollars": 40.0, "median delay, s": 1.0, "dollars by redirect": 11.0}
SEED = 6
QUESTIONS = 16  # a login's, for the throttles that the simulation gives itself
PEOPLE = {
    "as assumed": People(),
    "10 % of the time on the page": People(on_page=0.1),
    "50 % of it": People(on_page=0.5),
    "quicker: median 25 s, 75 s": People(median=25, p90=75),
    "slower: median 60 s, 180 s": People(median=60, p90=180),
    "5 % give up": People(abandoned=0.05),
    "20 % give up": People(abandoned=0.2),
}
Row = dict[str, Any]


def look(schedule: Schedule, logins: Logins, template: Template) -> Row:
    """Return cost and delay of one schedule."""
    waited = wait(schedule, logins)
    bill = money.by_poll(
        template,
        questions=waited.per_delivered(waited.questions),
        reads=waited.per_delivered(waited.reads - waited.questions),
        held_seconds=waited.per_delivered(waited.held),
        abandoned=1 - waited.delivered / len(logins),
        memory=schedule.memory,
    )
    p50, p90, p99 = waited.percentile(50, 90, 99)
    return {
        "name": schedule.name,
        "dollars": bill.total,
        "questions": waited.per_delivered(waited.questions),
        "held": waited.per_delivered(waited.held),
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "bill": vars(bill),
    }


def side_by_side(template: Template, number: int) -> list[Row]:
    logins = sign_in(PEOPLE["as assumed"], number, np.random.default_rng(SEED))
    rows = [look(one, logins, template) for one in alternatives.named(template)]
    former = look(held(template), logins, FORMER) | {"name": "held 20 s, as it was"}
    return [rows[0], former, *rows[1:]]


def held(template: Template) -> Schedule:
    """Return what was the default."""
    name = f"{alternatives.HELD}, 256 MB"
    return next(one for one in alternatives.named(template) if one.name == name)


def with_other_people(template: Template, number: int) -> list[Row]:
    chosen = next(alternatives.named(template))
    return [
        look(chosen, sign_in(people, number, np.random.default_rng(SEED)), template)
        | {"name": name}
        for name, people in PEOPLE.items()
    ]


def room(peak: float) -> tuple[float, float]:
    """Return a ThrottleRate and -Burst with room to spare over a peak of questions a second."""
    rate = min(ACCOUNT_RATE, max(50.0, round(peak * 2, -1)))
    return rate, min(ACCOUNT_BURST, 2 * rate)


def under_limits(template: Template, *, quick: bool) -> list[Row]:
    """Run the busiest minutes of days of several sizes."""
    chosen = next(alternatives.named(template))
    plain = Limits(route_rate=template.throttle_rate, route_burst=template.throttle_burst)
    new = replace(plain, concurrency=NEW_ACCOUNT_CONCURRENCY)

    def roomy(logins: float, concurrency: int = ACCOUNT_CONCURRENCY) -> Limits:
        rate, burst = room(peak_rate(logins) * QUESTIONS)
        return Limits(route_rate=rate, route_burst=burst, concurrency=concurrency)

    cases = [
        ("chosen", 1e4, chosen, new, 1.0),
        ("held 20 s", 1e4, held(template), new, 1.0),
        ("chosen", 1e5, chosen, plain, 1.0),
        ("chosen", 1e6, chosen, plain, 1.0),
        ("chosen", 1e6, chosen, roomy(1e6), 1.0),
        ("chosen", 1e6, chosen, roomy(1e6), 5.0),
        ("held 20 s", 1e6, held(template), roomy(1e6), 1.0),
        ("chosen", 3e6, chosen, roomy(3e6), 1.0),
        ("chosen", 1e7, chosen, roomy(1e7), 1.0),
        ("chosen", 1e7, chosen, roomy(1e7), 5.0),
        ("held 20 s", 1e7, held(template), roomy(1e7, 50_000), 1.0),
    ]
    rows = []
    for name, logins, schedule, limits, surge in cases[:2] if quick else cases:
        minutes = Minutes(surge=surge)
        random = np.random.default_rng(SEED)
        day = Day(schedule, People(), limits, peak_rate(logins), template, random, minutes)
        seen = day.run()
        p50, p99 = np.percentile(seen.delays, [50, 99])
        rows.append(
            {
                "name": name,
                "logins a day": int(logins),
                "surge": surge,
                "ThrottleRate": limits.route_rate,
                "concurrency allowed": limits.concurrency,
                "requests a second": float(seen.most_requests),
                "concurrency used": seen.most_busy,
                "429": seen.share_429,
                "503": seen.share_503,
                "others refused": seen.share_of_others,
                "p50": float(p50),
                "p99": float(p99),
            }
        )
    return rows


def measure(*, quick: bool) -> dict[str, Any]:
    template = deployed()
    number = 3_000 if quick else 200_000
    logins = sign_in(People(), number // 4, np.random.default_rng(SEED))
    family = [look(one, logins, template) for one in alternatives.family(quick=quick)]
    by_redirect = money.by_redirect(template)
    schedules = side_by_side(template, number)
    chosen = schedules[0]
    return {
        "goals": GOALS,
        "schedules": schedules,
        "family": family,
        "people": with_other_people(template, number),
        "redirect": {"dollars": by_redirect.total, "bill": vars(by_redirect)},
        "redirect, as it was": {"dollars": money.by_redirect(FORMER).total},
        "if every login starts all functions, more": money.all_cold(template),
        "idle, a month": money.idle(template),
        "idle, a month, with SnapStart": money.idle(template, snapstart=True),
        "containers": containers.side_by_side(chosen["dollars"], logins, template),
        "limits": under_limits(template, quick=quick),
        "measured": money.measured(),
    }


def met(found: dict[str, Any]) -> bool:
    chosen = found["schedules"][0]
    return bool(
        chosen["dollars"] <= GOALS["dollars"]
        and chosen["p50"] <= GOALS["median delay, s"]
        and found["redirect"]["dollars"] <= GOALS["dollars by redirect"]
    )


def table(rows: list[Row], columns: dict[str, str]) -> str:
    """Write rows in Markdown; `columns` say how each is formatted."""
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines = ["| " + " | ".join(f"{row[c]:{f}}" for c, f in columns.items()) + " |" for row in rows]
    return "\n".join([*head, *lines])


def tell(found: dict[str, Any]) -> None:
    costs = {"name": "", "dollars": ".2f", "questions": ".1f", "held": ".0f"}
    delays = {"p50": ".2f", "p90": ".1f", "p99": ".1f"}
    print("Schedules: dollars for a million delivered logins; seconds that asking adds\n")
    print(table(found["schedules"], costs | delays))
    print("\nThe chosen one, with other people\n")
    print(table(found["people"], costs | delays))
    print("\nWhat the chosen one's dollars are for\n")
    kinds = [
        {"name": name, **found[where]["bill"], "total": found[where]["dollars"]}
        for name, where in (("redirect", "redirect"),)
    ]
    chosen = found["schedules"][0]
    bills = [{"name": "poll", **chosen["bill"], "total": chosen["dollars"]}, *kinds]
    print(table(bills, {name: "" if name == "name" else ".2f" for name in bills[0]}))
    print(f"\nBy redirect, as it was: {found['redirect, as it was']['dollars']:.2f}")
    more = found["if every login starts all functions, more"]
    print(f"A login that finds all functions cold costs more, a million: {more:.2f}")
    for name in ("idle, a month", "idle, a month, with SnapStart"):
        parts = ", ".join(f"{what} {dollars:.3f}" for what, dollars in found[name].items())
        print(f"{name}: {parts}")
    other = found["containers"]
    print("\nContainers over the same tables instead: dollars for a million, and a month\n")
    print(
        table(
            [{**other, **other["bill"]}],
            {"dollars": ".2f"} | dict.fromkeys(other["bill"], ".2f") | delays,
        )
    )
    print(", ".join(f"{what} {dollars:.2f}" for what, dollars in other["fixed"].items()))
    print(f"Equal from {other['equal from, logins a day']:,.0f} logins a day\n")
    print(table(other["a month"], {"logins a day": ",", "Lambda": ",.0f", "containers": ",.0f"}))
    print("\nThe busiest five minutes of a day, against the limits\n")
    limits = {
        "name": "",
        "logins a day": ",",
        "surge": ".0f",
        "ThrottleRate": ".0f",
        "concurrency allowed": "",
        "requests a second": ".0f",
        "concurrency used": ".0f",
        "429": ".1%",
        "503": ".1%",
        "others refused": ".1%",
        "p50": ".2f",
        "p99": ".1f",
    }
    print(table(found["limits"], limits))


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--quick", action="store_true", help="prove that it runs")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument("--plot", type=Path, help="write scale.svg to this directory")
    options = parser.parse_args(args)
    found = measure(quick=options.quick)
    tell(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.plot:
        from .plot import draw  # noqa: PLC0415

        options.plot.mkdir(parents=True, exist_ok=True)
        draw(found["schedules"], found["family"], GOALS, options.plot / "scale.svg")
    return 0 if options.quick or met(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
