"""The other home: `serve` processes in containers over the same tables, which hold real waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opencode_relay.keys.held import LOOK_AGAIN
from opencode_relay.keys.key import Purpose
from opencode_relay.machine.chores import TICK

from . import money
from .assumptions import (
    CONNECTIONS,
    HOURS_A_MONTH,
    LOOK_MS,
    PRICES,
    PROCESSES,
    SECONDS_A_MONTH,
    SPARE,
    TASK,
    Template,
)
from .waiting import Logins, Schedule, Waited, wait

HOLD = 20  # seconds: RELAY_MAX_WAIT
READS = 3  # of a held question: when it comes, when its bell hangs, when it ends
LOOK = 0.5  # read units: eventually consistent, and an item has less than 4 kB
A_DAY = (1_000, 10_000, 50_000, 100_000, 1_000_000)
SCHEDULE = Schedule(
    "containers: held 20 s, read every second",
    hold_before=HOLD,
    hold_after=HOLD,
    read=lambda *_: TICK,
)


@dataclass(frozen=True)
class Bill:
    """Dollars for a million delivered logins, by what they are paid for; the fixed ones apart."""

    computing: float
    balancer: float
    writes: float
    reads: float
    looks: float
    logs: float

    @property
    def total(self) -> float:
        return float(sum(vars(self).values()))


def fixed() -> dict[str, float]:
    """Return dollars a month, however many sign in."""
    vcpu, gigabytes = TASK
    task = (
        vcpu * PRICES["Fargate, a vCPU-hour"] + gigabytes * PRICES["Fargate, a GB-hour"]
    ) * HOURS_A_MONTH
    fetches = PROCESSES * len(Purpose) * SECONDS_A_MONTH / LOOK_AGAIN
    return {
        f"{PROCESSES} tasks": PROCESSES * task,
        "load balancer": PRICES["load balancer, an hour"] * HOURS_A_MONTH,
        f"{2 * PROCESSES} public IPv4 addresses": 2
        * PROCESSES
        * PRICES["public IPv4 address, an hour"]
        * HOURS_A_MONTH,
        "KMS, for the keys' reading": fetches * PRICES["KMS, a request"],
    }


def bill(waited: Waited, abandoned: float) -> Bill:
    lost = abandoned / (1 - abandoned)

    def of(what: str) -> float:
        one = money.measured()["requests"]
        whole = sum(one[kind][what] for kind in money.BY_POLL)
        return float(whole + lost * sum(one[kind][what] for kind in money.GIVEN_UP))

    questions = max(0, waited.per_delivered(waited.questions) - 1)
    looks = waited.per_delivered(waited.held) / TICK
    reads = of("read_units") + questions * READS
    get = money.measured()["requests"][money.BEFORE]["cpu_ms"]
    cpu_ms = of("cpu_ms") + questions * READS * get + looks * LOOK_MS
    requests = len(money.BY_POLL) + lost * len(money.GIVEN_UP) + questions
    million = money.MILLION
    return Bill(
        computing=cpu_ms / 1000 * SPARE / 3600 * PRICES["Fargate, a vCPU-hour"] * million,
        balancer=requests / CONNECTIONS * PRICES["load balancer, an LCU-hour"] * million,
        writes=of("write_units") * PRICES["DynamoDB on demand, a write unit"] * million,
        reads=reads * PRICES["DynamoDB on demand, a read unit"] * million,
        looks=looks * LOOK * PRICES["DynamoDB on demand, a read unit"] * million,
        logs=money.logged(of("log_bytes"), of("log_lines")) * million,
    )


def side_by_side(lambda_dollars: float, logins: Logins, template: Template) -> dict[str, Any]:
    """Return both homes' dollars a month, and from how many logins a day containers cost less."""
    waited = wait(SCHEDULE, logins)
    found = bill(waited, 1 - waited.delivered / len(logins))
    standing, idle = sum(fixed().values()), sum(money.idle(template).values())
    p50, p90, p99 = waited.percentile(50, 90, 99)
    return {
        "dollars": found.total,
        "bill": vars(found),
        "fixed": fixed(),
        "idle on Lambda": idle,
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "equal from, logins a day": (standing - idle)
        / (lambda_dollars - found.total)
        * money.MILLION
        / 30,
        "a month": [
            {
                "logins a day": number,
                "Lambda": idle + number * 30 / money.MILLION * lambda_dollars,
                "containers": standing + number * 30 / money.MILLION * found.total,
            }
            for number in A_DAY
        ],
    }
