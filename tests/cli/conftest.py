from collections.abc import Iterator
from pathlib import Path

import pytest
from opencode_relay import bundle

from tests.cli.homes import Home
from tests.cli.instances import Instances
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


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instances]:
    """One `serve` for all tests of a module: each enrols instances of its own, called `name`."""
    data, logs = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("logs")
    # For `doctor`, which has a question held as long as the relay lets it.
    served = Served(data, logs, "--name=first", RELAY_MAX_WAIT="1")
    yield Instances(served)
    assert served.stop() == 0


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:64].replace("[", "(").replace("]", ")")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(bundle, "read", lambda: b"// the plugin\n")
    return Home(tmp_path / "home")


@pytest.fixture
def relay(instances: Instances) -> str:
    return str(instances.served.url)


@pytest.fixture
def key(instances: Instances, name: str) -> str:
    return str(instances.json("add", name)["key"])


@pytest.fixture
def key_file(key: str, tmp_path: Path) -> Path:
    path = tmp_path / "the key"
    path.touch(0o600)
    path.write_text(f"{key}\n")
    return path
