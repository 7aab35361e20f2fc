from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import MakeServed, Served


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def serve(data: Path, tmp_path: Path) -> Iterator[MakeServed]:
    """Start `serve` on the test's data directory, as often as it is called."""
    started: list[Served] = []

    def start(*args: object, **env: str) -> Served:
        logs = tmp_path / f"logs-{len(started)}"
        logs.mkdir()
        started.append(Served(data, logs, *args, **env))
        return started[-1]

    yield start
    for served in started:
        served.kill()
