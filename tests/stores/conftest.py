"""The stores that are held to the contract. Another one is one more entry of `STORES`."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from moto import mock_aws
from opencode_relay.stores import Store
from opencode_relay.stores.dynamodb import DynamoDBStore
from opencode_relay.stores.sqlite import SQLiteStore

from tests.aws.tap import EMULATOR, create_tables, dynamodb_local
from tests.support.stores import OpenStore


@contextmanager
def sqlite(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    data = request.getfixturevalue("tmp_path")
    opened: list[SQLiteStore] = []

    def open_store() -> Store:
        opened.append(SQLiteStore(data))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@contextmanager
def dynamodb(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    port = request.getfixturevalue("dynamodb_port")
    with _tables(f"http://127.0.0.1:{port}") as opening:
        yield opening


@contextmanager
def moto(_: pytest.FixtureRequest) -> Iterator[OpenStore]:
    with mock_aws(), _tables(None) as opening:
        yield opening


@contextmanager
def _tables(url: str | None) -> Iterator[OpenStore]:
    opened: list[Any] = []

    def client() -> Any:
        opened.append(
            get_session().create_client(
                "dynamodb",
                "us-east-1",
                endpoint_url=url,
                aws_access_key_id="x",
                aws_secret_access_key="x",
            )
        )
        return opened[-1]

    logins, instances = f"logins-{secrets.token_hex(8)}", f"instances-{secrets.token_hex(8)}"
    create_tables(client(), logins, instances)
    yield lambda: DynamoDBStore(client(), logins=logins, instances=instances)
    for one in opened:
        one.close()


# Each opens, as often as it is called, a connection to one store that begins empty.
Opening = Callable[[pytest.FixtureRequest], AbstractContextManager[OpenStore]]
STORES: dict[str, Opening] = {"sqlite": sqlite, "dynamodb": dynamodb, "moto": moto}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Ask no races of moto, which promises nothing of them."""
    races = [
        item
        for item in items
        if getattr(item, "callspec", None)
        and item.callspec.params.get("open_store") is moto  # type: ignore[attr-defined]
        and ("at_once" in item.name or "of_one_version" in item.name)
    ]
    config.hook.pytest_deselected(items=races)
    items[:] = [item for item in items if item not in races]


@pytest.fixture(scope="session")
def dynamodb_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if not (EMULATOR / "DynamoDBLocal.jar").exists() or not shutil.which("java"):
        pytest.skip("no DynamoDB Local: run tests/aws/install-tools, and install Java")
    with dynamodb_local(Path(tmp_path_factory.mktemp("dynamodb")) / "log") as port:
        yield port


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    """Open another connection to the test's store."""
    with request.param(request) as opening:
        yield opening


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path)
    yield store
    store.close()
