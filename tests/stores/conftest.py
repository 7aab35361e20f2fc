"""The stores that are held to the contract. Another one is one more entry of `STORES`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from opencode_relay.stores import Store
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.stores import OpenStore


@contextmanager
def sqlite(tmp_path: Path) -> Iterator[OpenStore]:
    opened: list[SQLiteStore] = []

    def open_store() -> Store:
        opened.append(SQLiteStore(tmp_path))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


# Each opens, as often as it is called, a connection to one store that begins empty.
STORES: dict[str, Callable[[Path], AbstractContextManager[OpenStore]]] = {"sqlite": sqlite}


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Open another connection to the test's store."""
    with request.param(tmp_path) as opening:
        yield opening


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()
