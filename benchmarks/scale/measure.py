"""What a request of each kind takes: the inputs of the simulation that can be measured.

    uv run python -m benchmarks.scale.measure [LOGINS]

The built artifact runs under Lambda's Runtime Interface Client against DynamoDB Local. For each
kind of request: CPU of a warm invocation (of all its threads, from the operating system), requests
to DynamoDB and their capacity units, bytes and lines that the function logs, bytes of its line in
the access log. For each function: CPU of a start, and the most memory it took. All of it goes to
measured.json. Not measured here: what only AWS can show, which assumptions.py lists.
"""

import asyncio
import json
import platform
import re
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from statistics import fmean, median
from typing import Any

import httpx

from tests.aws.conftest import build
from tests.aws.ric import Environment
from tests.aws.ric_gateway import Functions
from tests.aws.ric_wire import INSTANCES, KEYS_PATH, LOGINS, LambdaWire, first_keys
from tests.aws.tap import READS, Tap, create_tables, dynamodb_local
from tests.support.clock import Clock
from tests.support.wire import ISSUER, RETURN_URL

MEASURED = Path(__file__).with_name("measured.json")
WARM = 10  # logins before any is measured
# Values as long as those of a real request.
_ACCESS = {
    "requestId": "JKJaXmPLvHcESHA=",
    "identity.sourceIp": "203.0.113.77",
    "status": "202",
    "integrationStatus": "202",
    "integrationErrorMessage": "-",
    "error.message": "-",
    "responseLength": "1024",
    "responseLatency": "25",
}
_THREADS = "/proc/{}/task"


@dataclass
class Taken:
    """What requests of one kind took, one entry each."""

    function: str = ""
    route: str = ""
    cpu: list[float] = field(default_factory=list)
    trips: list[int] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    log_bytes: list[int] = field(default_factory=list)
    log_lines: list[int] = field(default_factory=list)

    def summary(self, access_format: str) -> dict[str, Any]:
        return {
            "function": self.function,
            "cpu_ms": round(median(self.cpu), 2),
            "store_trips": fmean(self.trips),
            "read_units": fmean(self.reads),
            "write_units": fmean(self.writes),
            "log_bytes": round(fmean(self.log_bytes)),
            "log_lines": fmean(self.log_lines),
            "access_bytes": access_line(access_format, self.route),
        }


def access_line(access_format: str, route: str) -> int:
    known = {**_ACCESS, "routeKey": route}
    return len(re.sub(r"\$context\.([A-Za-z.]+)", lambda m: known[m[1]], access_format))


def cpu_ms(environment: Environment) -> float:
    tasks = Path(_THREADS.format(environment.process.pid)).glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def memory_mb(environment: Environment) -> int:
    """The most that was resident, pages shared with other processes included."""
    status = Path(f"/proc/{environment.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return round(int(found[1]) / 1024)


class Scales(Functions):
    """Functions whose every invocation is weighed, under the name in `kind`."""

    def __init__(self, artifact: Path, logs: Path, tap: Tap) -> None:
        fixed = {"LOGINS_TABLE": LOGINS, "INSTANCES_TABLE": INSTANCES, "KEYS_PATH": KEYS_PATH}
        settings = {"RELAY_PUBLIC_URL": ISSUER, "RELAY_OPEN_LIMIT": "1000000"}
        super().__init__(artifact, logs, {**fixed, **settings, **tap.environment()})
        self.tap = tap
        self.kind = ""
        self.taken: dict[str, Taken] = defaultdict(Taken)
        self.starts: dict[str, float] = {}

    def invoke(self, name: str, event: dict[str, Any], limit: float) -> Any:
        if name not in self.running:
            self.running[name] = self.start(name)
            self.running[name].started()
            self.starts[name] = cpu_ms(self.running[name])
        environment, tap = self.running[name], self.tap
        cpu, calls, logged = cpu_ms(environment), len(tap.calls), len(environment.log)
        tap.units = []
        answer = super().invoke(name, event, limit)
        if not self.kind:
            return answer
        written, made = environment.log[logged:], tap.calls[calls:]
        assert len(tap.units) == len(made), "only DynamoDB is asked while a function is warm"
        weighed = list(zip(made, tap.units, strict=True))
        one = self.taken[self.kind]
        one.function, one.route = name, event["routeKey"]
        one.cpu.append(cpu_ms(environment) - cpu)
        one.trips.append(len(made))
        one.reads.append(sum(units for call, units in weighed if call.action in READS))
        one.writes.append(sum(units for call, units in weighed if call.action not in READS))
        one.log_bytes.append(len(written.encode()))
        one.log_lines.append(written.count("\n"))
        return answer


def check(answer: httpx.Response, status: HTTPStatus) -> None:
    assert answer.status_code == status, answer.text


async def by_poll(wire: LambdaWire, scales: Scales, *, measured: bool) -> None:
    """One login as the plugin and a browser make it, and each kind of asking too early."""

    def kind(name: str) -> None:
        scales.kind = name if measured else ""

    kind("discovery")
    check(await wire.http.get("/.well-known/opencode-relay"), HTTPStatus.OK)
    kind("open")
    login = await wire.open(provider="OpenAI", name="workshop")
    kind("poll before a browser came")
    check(await wire.collect(login), HTTPStatus.ACCEPTED)
    kind("callback")
    # As long as OpenAI's.
    page = await wire.callback(login, code="ac_" + "c" * 83, scope="openid profile email")
    kind("poll after a browser came")
    check(await wire.collect(login), HTTPStatus.ACCEPTED)
    kind("confirm")
    check(await wire.press(page, "allow", login.pairing_code), HTTPStatus.SEE_OTHER)
    kind("done")
    check(await wire.http.get("/auth/done"), HTTPStatus.OK)
    kind("collect")
    check(await wire.collect(login), HTTPStatus.OK)
    kind("jwks")
    check(await wire.http.get("/.well-known/jwks.json"), HTTPStatus.OK)
    kind("finish")
    check(await wire.finish(login), HTTPStatus.NO_CONTENT)


async def by_redirect(wire: LambdaWire, scales: Scales, *, measured: bool) -> None:
    def kind(name: str) -> None:
        scales.kind = f"{name}, redirect" if measured else ""

    kind("open")
    login = await wire.open(delivery="redirect", return_url=RETURN_URL, provider="OpenAI")
    kind("callback")
    page = await wire.callback(login, code="ac_" + "c" * 83, scope="openid profile email")
    check(page, HTTPStatus.OK)
    kind("finish")
    check(await wire.finish(login), HTTPStatus.NO_CONTENT)


async def measure(scales: Scales, logins: int) -> None:
    wire = LambdaWire(scales.tap, scales, Clock(time.time()))
    await wire.enrol("workshop", RETURN_URL)
    for number in range(WARM + logins):
        await by_poll(wire, scales, measured=number >= WARM)
        await by_redirect(wire, scales, measured=number >= WARM)


def main(logins: int = 150) -> None:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        with dynamodb_local(work / "dynamodb") as port:
            tap = Tap(port)
            create_tables(tap.client("dynamodb"), LOGINS, INSTANCES)
            first_keys(tap)
            scales = Scales(build(work / "artifact"), work, tap)
            asyncio.run(measure(scales, logins))
            memory = {name: memory_mb(one) for name, one in scales.running.items()}
            scales.stop()
            tap.close()
    stage = scales.stack.of_type("AWS::ApiGatewayV2::Stage")["Stage"]
    access_format = stage["AccessLogSettings"]["Format"]
    found = {
        "machine": f"{platform.machine()}, Python {platform.python_version()} (harness)",
        "logins": logins,
        "requests": {name: one.summary(access_format) for name, one in scales.taken.items()},
        "functions": {
            name: {"start_cpu_ms": round(scales.starts[name]), "memory_mb": memory[name]}
            for name in scales.starts
        },
    }
    MEASURED.write_text(json.dumps(found, indent=2) + "\n")
    print(MEASURED.read_text())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
