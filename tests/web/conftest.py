from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.served import Served
from tests.support.wire import RETURN_URL, MakeWire, Wire


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_wire(tmp_path: Path, clock: Clock) -> Iterator[MakeWire]:
    """Make a relay with settings; one at a time on the test's directory."""
    made: list[Wire] = []

    def make(**settings: Any) -> Wire:
        made.append(Wire(tmp_path, clock, **settings))
        return made[-1]

    yield make
    for wire in made:
        wire.store.close()


@pytest.fixture
async def wire(make_wire: MakeWire) -> Wire:
    """A relay with closed enrolment, and one enrolled instance whose key is used."""
    wire = make_wire()
    await wire.enrol("workshop", RETURN_URL)
    return wire


@pytest.fixture
def open_wire(make_wire: MakeWire) -> Wire:
    """A relay with open enrolment, called without a key."""
    return make_wire(enrolment="open")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real `serve`, for what only a socket shows."""
    served = Served(
        tmp_path_factory.mktemp("data"),
        tmp_path_factory.mktemp("logs"),
        "--enrolment=open",
        RELAY_ADDRESS_LIMIT="0",
        RELAY_MAX_WAITERS="8",
    )
    yield served
    assert served.stop() == 0
