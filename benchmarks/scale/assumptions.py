"""Everything that is not measured: prices, AWS's limits, and what is taken for granted."""

from __future__ import annotations

from dataclasses import dataclass

from tests.aws.template import FUNCTIONS, Stack, load

# Dollars, us-east-1, arm64, without free allowances and volume discounts. From secondary pages
# (November 2026): look them up before you quote them.
PRICES = {
    "HTTP API, a request": 1.00e-6,
    "Lambda, a request": 0.20e-6,
    "Lambda, a GB-second": 0.0000133334,
    "SnapStart, a GB-second of cache": 0.0000015046,
    "DynamoDB on demand, a write unit": 0.625e-6,
    "DynamoDB on demand, a read unit": 0.125e-6,
    "logs, a GB taken in": 0.50,
    "logs, a GB kept for a month": 0.03,
    "custom metric, a month": 0.30,
    "alarm's metric, a month": 0.10,
    "dashboard beyond three, a month": 3.00,
    "table storage, a GB-month": 0.25,
    # The other home. Its load balancer and tasks have public addresses: a NAT gateway costs more.
    "Fargate, a vCPU-hour": 0.03238,
    "Fargate, a GB-hour": 0.00356,
    "load balancer, an hour": 0.0225,
    "load balancer, an LCU-hour": 0.008,
    "public IPv4 address, an hour": 0.005,
    "KMS, a request": 0.03 / 10_000,
}

VCPU_MB = 1769  # Lambda: memory that comes with one vCPU; less memory, less of it
STORE_MS = 4.0  # a request to DynamoDB, as a function sees it
EVENT_BYTES = 26  # CloudWatch counts for each event besides its text
PLATFORM_BYTES = 356  # Lambda's START, END and REPORT lines of a request, of 75, 56 and 225 bytes
PLATFORM_LINES = 3
KEPT_SHARE = 0.2  # of what is taken in: logs are kept compressed
LATENCY = 0.1  # seconds from an instance's question to its answer, where nobody is held
SECONDS_A_MONTH = 30 * 86400
HOURS_A_MONTH = 720

# Containers: two of the smallest in two zones, and more as they are needed.
PROCESSES = 2
TASK = (0.25, 0.5)  # vCPU, GB
SPARE = 3  # times the CPU that is used: the busiest hour, and half of it left
LOOK_MS = 0.05  # CPU of a process for each of a hundred logins that it looks at, measured
CONNECTIONS = 25 * 3600  # new ones in an LCU-hour; a client's next request may need another

# Lambda and API Gateway, per account and region.
ACCOUNT_CONCURRENCY = 1000
NEW_ACCOUNT_CONCURRENCY = 10
ENVIRONMENTS_AT_ONCE, ENVIRONMENTS_A_SECOND = 1000, 100  # per function: 1,000 every 10 s
ACCOUNT_RATE, ACCOUNT_BURST = 10_000, 5_000  # requests a second of the API

# Hourly shares of a day's logins: offices of two neighbouring time zones, and few people at night.
DAY = (1, 1, 1, 1, 1, 2, 4, 7, 11, 12, 10, 8, 7, 8, 9, 8, 7, 5, 3, 3, 2, 2, 1, 1)
PEAK = 24 * max(DAY) / sum(DAY)  # the busiest hour's logins over the mean


@dataclass(frozen=True)
class People:
    """How slow people are. Times in seconds, from opening the login to pressing Allow.

    The whole is log-normal; of it, a share (beta, with this mean) is spent on the relay's page.
    Of those who give up, some do so on that page, and the others before.
    """

    median: float = 40
    p90: float = 120
    on_page: float = 0.25
    abandoned: float = 0.10
    abandoned_on_page: float = 0.2
    lifetime: float = 600


@dataclass(frozen=True)
class Template:
    """What template.yaml sets, as far as money and limits depend on it."""

    memory: dict[str, int]  # MB, by function
    platform_logs: bool  # whether Lambda's own lines are kept
    max_wait: int = 0
    throttle_rate: float = 50
    throttle_burst: float = 100


def deployed() -> Template:
    """Return what template.yaml says now."""
    stack, template = Stack(load()), load()
    functions = {name: stack.function(name) for name in FUNCTIONS}
    parameters = {name: one.get("Default") for name, one in template["Parameters"].items()}
    return Template(
        memory={name: int(one["MemorySize"]) for name, one in functions.items()},
        platform_logs=functions["CollectFunction"]["LoggingConfig"].get("SystemLogLevel") != "WARN",
        max_wait=int(parameters["MaxWait"]),
        throttle_rate=float(parameters["ThrottleRate"]),
        throttle_burst=float(parameters["ThrottleBurst"]),
    )


# As it was before this simulation chose: held for 20 s, and Lambda's own lines kept.
FORMER = Template(
    memory={"CallbackFunction": 1024, "LoginsFunction": 1024, "CollectFunction": 256},
    platform_logs=True,
    max_wait=20,
)
