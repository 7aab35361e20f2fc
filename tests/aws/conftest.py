"""The functions' built artifact on loopback: real Runtime Interface Client, real DynamoDB Local."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moto  # noqa: F401  # it reaches no session of boto3 that was made before
import pytest

from tests.aws.cloudformation import CloudFormation
from tests.aws.ric import PYTHON
from tests.aws.ric_gateway import Functions
from tests.aws.ric_wire import (
    INSTANCES,
    KEYS_PATH,
    LOGINS,
    LambdaWire,
    SharedClock,
    environment_of,
    first_keys,
)
from tests.aws.tap import EMULATOR, Tap, create_tables, dynamodb_local
from tests.aws.template import ROOT
from tests.support.clock import Clock
from tests.support.wire import ISSUER, RETURN_URL, MakeWire


def build(to: Path, machine: str = "x86_64", source: Path = ROOT / "functions") -> Path:
    """Build the artifact with the Python that runs it here."""
    subprocess.run(
        [sys.executable, source / "build_artifact.py", to, machine],
        env={**os.environ, "UV_PYTHON": str(PYTHON)},
        check=True,
        timeout=600,
    )
    return to


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PYTHON.exists():
        pytest.skip("no awslambdaric: run tests/aws/install-tools")
    return build(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def tap(logs: Path) -> Iterator[Tap]:
    """DynamoDB Local with the two tables, and Parameter Store with the keys."""
    if not (EMULATOR / "DynamoDBLocal.jar").exists() or not shutil.which("java"):
        pytest.skip("no DynamoDB Local: run tests/aws/install-tools, and install Java")
    with dynamodb_local(logs / "dynamodb") as port:
        tap = Tap(port)
        create_tables(tap.client("dynamodb"), LOGINS, INSTANCES)
        first_keys(tap)
        yield tap
        tap.close()


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    with CloudFormation() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Pool:
    """Functions by their settings. Those of the commonest settings stay for the next test."""

    def __init__(self, artifact: Path, tap: Tap, logs: Path) -> None:
        self.clock = logs / "clock"
        self._made: dict[tuple[tuple[str, Any], ...], Functions] = {}
        self._artifact, self._tap, self._logs = artifact, tap, logs
        self._keys = dict(tap.parameters)
        self._database = tap.client("dynamodb")

    def functions(self, **settings: Any) -> Functions:
        variables = environment_of({"public_url": ISSUER, **settings})
        known = tuple(sorted(variables.items()))
        if known not in self._made:
            fixed = {
                "LOGINS_TABLE": LOGINS,
                "INSTANCES_TABLE": INSTANCES,
                "KEYS_PATH": KEYS_PATH,
                "TEST_CLOCK": str(self.clock),
            }
            variables |= fixed | self._tap.environment()
            self._made[known] = Functions(self._artifact, self._logs, variables)
        return self._made[known]

    def tidy(self) -> None:
        """Undo what a test has done to tap, names and keys; end the functions of rare settings."""
        self._tap.fault = lambda _: None
        for item in self._database.scan(TableName=INSTANCES)["Items"]:
            self._database.delete_item(TableName=INSTANCES, Key={"pk": item["pk"]})
        if self._tap.parameters != self._keys:
            self._tap.parameters = dict(self._keys)
            self.stop()
        kept = [{"RELAY_PUBLIC_URL"}, {"RELAY_PUBLIC_URL", "RELAY_ENROLMENT"}]
        for known, functions in self._made.items():
            if {name for name, _ in known} not in kept:
                functions.stop()

    def stop(self) -> None:
        for functions in self._made.values():
            functions.stop()


@pytest.fixture(scope="session")
def pool(artifact: Path, tap: Tap, logs: Path) -> Iterator[Pool]:
    pool = Pool(artifact, tap, logs)
    yield pool
    pool.stop()


@pytest.fixture
def clock(pool: Pool) -> Iterator[SharedClock]:
    clock = SharedClock(pool.clock)
    yield clock
    clock.close()


@pytest.fixture
def make_wire(pool: Pool, tap: Tap, clock: Clock) -> Iterator[MakeWire]:
    def make(**settings: Any) -> LambdaWire:
        issuer = settings.get("public_url", ISSUER)
        return LambdaWire(tap, pool.functions(**settings), clock, issuer)

    yield make
    pool.tidy()


@pytest.fixture
async def wire(make_wire: MakeWire) -> LambdaWire:
    """A relay with closed enrolment, and one enrolled instance whose key is used."""
    wire = make_wire()
    assert isinstance(wire, LambdaWire)
    await wire.enrol("workshop", RETURN_URL)
    return wire


@pytest.fixture
def open_wire(make_wire: MakeWire) -> LambdaWire:
    """A relay with open enrolment, called without a key."""
    wire = make_wire(enrolment="open")
    assert isinstance(wire, LambdaWire)
    return wire
