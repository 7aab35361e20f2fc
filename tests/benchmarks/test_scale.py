"""The simulation of AWS: it runs, agrees with what can be worked out by hand, and is the code's."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from opencode_relay.machine.chores import TICK
from opencode_relay.pace import retry_after
from opencode_relay.settings import Settings

from benchmarks.scale import __main__ as scale
from benchmarks.scale import alternatives, containers, money
from benchmarks.scale.assumptions import PRICES, People, Template, deployed
from benchmarks.scale.load import Bucket, Day, Limits, Minutes, peak_rate, refused_share
from benchmarks.scale.waiting import Logins, Schedule, login_at, of_the_code, sign_in, wait
from tests.aws.template import ROOT

LATENCY = 0.1


def random() -> np.random.Generator:
    return np.random.default_rng(1)


def every(seconds: float) -> Schedule:
    return Schedule("", ask=lambda *_: seconds)


def anybody(number: int = 20_000) -> Logins:
    """Nobody gives up; when they release says nothing about when their instance asks."""
    released = random().uniform(100, 500, number)
    return Logins(released - 10, released, 600)


# By hand


@pytest.mark.parametrize("pause", [1, 2, 5])
def test_a_fixed_pause_adds_half_of_itself(pause: float) -> None:
    delays = wait(every(pause), anybody(), LATENCY).delays
    period = pause + LATENCY
    assert delays.mean() == pytest.approx(period / 2 + LATENCY / 2, rel=0.02)
    assert delays.max() <= period + LATENCY / 2
    assert delays.min() >= LATENCY / 2


def test_a_fixed_pause_takes_a_question_a_period() -> None:
    logins = anybody()
    waited = wait(every(3), logins, LATENCY)
    by_hand = np.floor(logins.released / (3 + LATENCY)) + 2  # the first, and the one that collects
    assert np.abs(waited.questions - by_hand).max() <= 1  # where both fall on the same moment
    assert waited.questions.mean() == pytest.approx(by_hand.mean(), rel=0.01)
    assert waited.held.sum() == 0


def test_a_hold_waits_as_long_as_the_person_and_is_woken_by_the_next_reading() -> None:
    schedule = Schedule("", hold_before=20, hold_after=20, read=lambda *_: 0.5)
    logins = anybody()
    waited = wait(schedule, logins, LATENCY)
    # All the time but what is under way between two holds.
    assert waited.held.mean() == pytest.approx(logins.released.mean(), rel=0.02)
    assert waited.questions.mean() == pytest.approx(
        logins.released.mean() / (20 + LATENCY), rel=0.05
    )
    assert waited.delays.mean() == pytest.approx(0.25 + LATENCY / 2, rel=0.05)


def test_who_gives_up_is_asked_about_until_the_end_and_never_delivered() -> None:
    never = np.full(10, np.inf)
    waited = wait(every(9.9), Logins(never, never, 600), LATENCY)
    assert waited.delivered == 0
    assert (np.abs(waited.questions - 61) <= 1).all()


def test_people_are_as_slow_as_assumed() -> None:
    logins = sign_in(People(abandoned=0, lifetime=1e9), 100_000, random())
    assert np.percentile(logins.released, [50, 90]) == pytest.approx([40, 120], rel=0.02)
    share = 1 - logins.arrived / logins.released
    assert share.mean() == pytest.approx(0.25, rel=0.02)
    given_up = sign_in(People(abandoned=0.3, lifetime=1e9), 100_000, random())
    assert np.isinf(given_up.released).mean() == pytest.approx(0.3, rel=0.05)


# Money


def test_a_question_more_costs_its_price_and_no_question_nothing() -> None:
    template = deployed()
    none = money.by_poll(template, questions=1, abandoned=0).total
    assert none == pytest.approx(money.requests(money.BY_POLL, template).total * 1e6)
    more = money.by_poll(template, questions=11, abandoned=0).total
    assert more - none == pytest.approx(10e6 * money.request(money.BEFORE, template).total)


def test_a_request_is_billed_item_by_item() -> None:
    template = Template(memory=dict.fromkeys(deployed().memory, 1769), platform_logs=False)
    one = money.measured()["requests"]["open"]
    bill = money.request("open", template)
    assert bill.api + bill.invocations == pytest.approx(1.2e-6)
    assert bill.writes == pytest.approx(one["write_units"] * 0.625e-6)
    # At a whole vCPU, what is billed is what was measured, the store's milliseconds, and rounding.
    seconds = (one["cpu_ms"] + one["store_trips"] * 4 + 0.5) / 1000
    assert bill.working == pytest.approx(seconds * 1769 / 1024 * PRICES["Lambda, a GB-second"])
    assert bill.held == 0


def test_computing_costs_the_same_at_any_size_and_waiting_does_not() -> None:
    small = money.held(1, 0, 128).held
    assert money.held(1, 0, 256).held == pytest.approx(2 * small)
    assert small == pytest.approx(0.125 * PRICES["Lambda, a GB-second"])

    def working(memory: int) -> float:
        template = Template(memory=dict.fromkeys(deployed().memory, memory), platform_logs=False)
        return money.request("open", template).working

    # A request waits for the store, and half a millisecond for its bill to be rounded up.
    waits = (money.measured()["requests"]["open"]["store_trips"] * 4 + 0.5) / 1000
    assert working(256) - working(128) == pytest.approx(money.held(waits, 0, 128).held)


# Limits


def run(rate: float, limits: Limits, minutes: Minutes, schedule: Schedule | None = None) -> Day:
    day = Day(schedule or every(2), People(), limits, rate, deployed(), random(), minutes)
    day.run()
    return day


SHORT = Minutes(warm=120, measured=60)
WIDE = Limits(route_rate=1e6, route_burst=1e6, account_rate=1e6, account_burst=1e6)


def test_nobody_is_refused_under_the_limits() -> None:
    found = run(5, WIDE, SHORT).found
    assert found.questions > 0
    assert (found.throttled, found.unavailable, found.others_refused) == (0, 0, 0)


def test_beyond_a_throttle_what_is_beyond_is_refused() -> None:
    """Nobody tries again, and each login asks once: so many a second come, whatever is answered."""
    once = Schedule("", ask=lambda *_: 1e6)
    minutes = replace(SHORT, tries_again=False)
    limits = replace(WIDE, route_rate=40, route_burst=40)
    found = run(100, limits, minutes, once).found
    assert found.questions == pytest.approx(100 * minutes.measured, rel=0.1)
    assert found.share_429 == pytest.approx(1 - 40 / 100, abs=0.03)
    assert found.unavailable == 0


def test_without_tries_a_waiter_takes_a_place_for_as_long_as_it_is_held() -> None:
    """Little's law: places = logins a second times seconds of each."""
    schedule = Schedule("", hold_before=20, hold_after=20, read=lambda *_: 0.5)
    people = People(abandoned=0, median=40, p90=41)
    day = Day(schedule, people, WIDE, 5, deployed(), random(), Minutes(warm=300, measured=120))
    found = day.run()
    assert found.unavailable == 0
    assert found.most_busy == pytest.approx(5 * 40, rel=0.2)


def test_more_holds_than_places_are_503() -> None:
    schedule = Schedule("", hold_before=20, hold_after=20, read=lambda *_: 0.5)
    limits = replace(WIDE, concurrency=1000, reserved=50)
    found = run(5, limits, SHORT, schedule).found
    assert found.share_503 > 0.5
    assert found.most_busy <= 60
    assert found.others_refused == 0  # that is what the reservation is for


def test_the_share_without_a_place_is_erlangs() -> None:
    assert refused_share(1, 1) == pytest.approx(0.5)
    assert refused_share(2, 2) == pytest.approx(0.4)
    assert refused_share(10_000, 5_000) == pytest.approx(0.5)
    assert refused_share(1, 100) == 0
    assert refused_share(1, 0) == 1


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(10, 20)
    assert bucket.take(50) == 20
    bucket.fill(1)
    assert bucket.take(50) == 10
    bucket.fill(100)
    assert bucket.take(50) == 20


def test_the_load_adds_the_delays_that_the_schedule_adds() -> None:
    """Two ways to the same figure, where nobody is refused."""
    chosen = next(alternatives.named(deployed()))
    alone = wait(chosen, sign_in(People(), 20_000, random()))
    found = run(30, WIDE, Minutes(measured=120), chosen).found
    assert np.median(found.delays) == pytest.approx(np.median(alone.delays), rel=0.1)


# The code's own


def test_the_schedule_is_the_codes() -> None:
    schedule = of_the_code("", 0)
    assert (schedule.ask, schedule.read) == (retry_after, retry_after)
    before, after = schedule.tables(schedule.ask)
    for seconds in (0, 0.4, 7.9, 31.5, 119.99, 500.2):
        assert before[int(seconds)] == retry_after(login_at(1000, None), 1000 + seconds)
        assert after[int(seconds)] == retry_after(login_at(900, 1000), 1000 + seconds)


def test_the_plugins_first_question_is_the_models() -> None:
    source = (ROOT / "plugin" / "src" / "signin" / "polling.ts").read_text()
    assert f"const FIRST = {alternatives.FIRST};" in source


def test_the_settings_are_the_templates() -> None:
    template = deployed()
    assert template.max_wait == 0
    assert not template.platform_logs
    assert set(template.memory) >= set(money.measured()["functions"])


def test_the_page_says_which_goals_are_met() -> None:
    """By the model, and with the figures as they were last measured."""
    template = deployed()
    chosen = next(alternatives.named(template))
    row = scale.look(chosen, sign_in(People(), 50_000, random()), template)
    assert row["name"] == alternatives.CHOSEN
    by_redirect = money.by_redirect(template).total
    found = dict(zip(scale.GOALS, (row["dollars"], row["p50"], by_redirect), strict=True))
    page = (ROOT / "docs" / "performance.md").read_text()
    told = re.findall(
        r"^\| .+ \| \$?([\d.]+)(?: s)? \| ≤ \$?([\d.]+)(?: s)? \| (.+) \|$", page, re.MULTILINE
    )
    assert [float(goal) for _, goal, _ in told] == [*scale.GOALS.values()]
    assert [met == "met" for *_, met in told] == [found[one] <= scale.GOALS[one] for one in found]
    assert [float(told_of) for told_of, *_ in told] == pytest.approx([*found.values()], rel=0.02)


def test_peak_is_the_busiest_hour() -> None:
    assert peak_rate(86400) == pytest.approx(2.5, abs=0.1)


# The other home


def held_by_containers(released: float) -> containers.Bill:
    there = np.full(10, released)
    return containers.bill(wait(containers.SCHEDULE, Logins(there - 5, there, 600), LATENCY), 0)


def test_a_look_a_second_is_half_a_unit_and_nothing_is_paid_for_holding() -> None:
    price = PRICES["DynamoDB on demand, a read unit"] * money.MILLION
    short, long = held_by_containers(15), held_by_containers(19)
    assert long.looks - short.looks == pytest.approx(4 * containers.LOOK * price, rel=0.1)
    assert (long.reads, long.writes, long.logs) == (short.reads, short.writes, short.logs)


def test_containers_cost_less_from_where_both_cost_the_same() -> None:
    template = deployed()
    both = containers.side_by_side(40.0, sign_in(People(), 5_000, random()), template)
    number = both["equal from, logins a day"] * 30 / money.MILLION
    on_lambda = both["idle on Lambda"] + number * 40.0
    assert sum(both["fixed"].values()) + number * both["dollars"] == pytest.approx(on_lambda)
    assert both["p99"] <= TICK + LATENCY


def test_processes_hold_as_long_as_they_do_by_default() -> None:
    assert Settings.load({"RELAY_DATA": "/data"}).max_wait == containers.HOLD


# All of it


def test_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "scale.json"
    assert scale.main(["--quick", "--json", str(kept), "--plot", str(tmp_path)]) == 0
    found = json.loads(kept.read_text())
    names = [row["name"] for row in found["schedules"]]
    assert names[0] == alternatives.CHOSEN
    assert len(set(names)) == len(names)
    assert "| chosen |" in capsys.readouterr().out
    drawn = (tmp_path / "scale.svg").read_text()
    assert "<svg" in drawn
    assert scale.main(["--quick", "--plot", str(tmp_path)]) == 0
    assert (tmp_path / "scale.svg").read_text() == drawn  # the same bytes again


def test_a_missed_goal_is_told() -> None:
    found = {
        "schedules": [{"dollars": 39.0, "p50": 0.9}],
        "redirect": {"dollars": 10.9},
    }
    assert scale.met(found)
    for changed in (
        {"schedules": [{"dollars": 40.1, "p50": 0.9}]},
        {"schedules": [{"dollars": 39.0, "p50": 1.1}]},
        {"redirect": {"dollars": 11.01}},
    ):
        assert not scale.met(found | changed)


def test_the_docs_have_the_models_figures() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    told = re.search(r"\*\*a million logins\*\* .* \*\*\$([\d.]+)\*\* .* \*\*\$([\d.]+)\*\*", page)
    assert told
    template = deployed()
    row = scale.look(
        next(alternatives.named(template)), sign_in(People(), 50_000, random()), template
    )
    assert float(told[1]) == pytest.approx(row["dollars"], rel=0.02)
    assert float(told[2]) == pytest.approx(money.by_redirect(template).total, rel=0.02)
    both = containers.side_by_side(row["dollars"], sign_in(People(), 50_000, random()), template)
    million, standing = re.findall(r"for \$([\d.]+) a (?:million\nlogins instead|month that)", page)
    assert float(million) == pytest.approx(both["dollars"], rel=0.02)
    assert float(standing) == pytest.approx(sum(both["fixed"].values()), rel=0.02)
    rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    told_of = [[float(number.replace(",", "")) for number in line] for line in rows]
    assert told_of == [pytest.approx([*one.values()], rel=0.05) for one in both["a month"]]
    equal = re.search(r"up to some ([\d,]+) logins a day take Lambda", page)
    assert equal
    assert float(equal[1].replace(",", "")) == pytest.approx(
        both["equal from, logins a day"], rel=0.05
    )
    median = re.search(r"sign-in done ([\d.]+) seconds after pressing Allow", page)
    assert median
    assert float(median[1]) == pytest.approx(row["p50"], rel=0.1)
