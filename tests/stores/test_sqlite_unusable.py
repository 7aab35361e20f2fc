"""SQLite's store where it cannot be used: what is told, and that nothing is lost."""

import asyncio
import errno
import functools
import os
import sqlite3
from pathlib import Path

import pytest
from opencode_relay.errors import StoreUnavailable
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.stores import NOW, a_login, an_instance


@pytest.fixture
def store(sqlite_store: SQLiteStore) -> SQLiteStore:
    return sqlite_store


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.lockf", no_locks)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StoreUnavailable, match=r"no working locks.* a local disk with RELAY_DATA"):
        SQLiteStore(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "name", ["PROTOCOL", "IOERR_LOCK", "IOERR_RDLOCK", "IOERR_SHMLOCK", "IOERR_SHMMAP"]
)
def test_what_sqlite_says_there_is_told_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            wrong = sqlite3.OperationalError("disk I/O error")
            wrong.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
            raise wrong

    connect = functools.partial(sqlite3.connect, factory=Connection)
    monkeypatch.setattr("sqlite3.connect", connect)
    with pytest.raises(StoreUnavailable, match="no working locks"):
        SQLiteStore(tmp_path)


def fill(store: SQLiteStore) -> None:
    """Give SQLite no page more than it has: it answers as on a full disk (SQLITE_FULL)."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_is_told_as_the_store_being_unavailable(store: SQLiteStore) -> None:
    fill(store)
    with pytest.raises(StoreUnavailable, match="full"):
        asyncio.run(store.create(a_login(response="x" * 4096)))


def test_after_a_full_disk_it_goes_on(store: SQLiteStore) -> None:
    fill(store)
    store._db.execute("PRAGMA max_page_count=1000000")
    login = a_login()
    asyncio.run(store.create(login))
    assert asyncio.run(store.get(login.id)) == login


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_text("not a database, " * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        SQLiteStore(tmp_path)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        SQLiteStore(tmp_path / "nothing")


def test_a_store_that_somebody_keeps_locked_is_unavailable(
    tmp_path: Path, store: SQLiteStore
) -> None:
    other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout=1")
    with pytest.raises(StoreUnavailable, match="locked"):
        asyncio.run(store.create(a_login()))
    other.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.create(a_login()),
        lambda store: store.get("x"),
        lambda store: store.cancel_all(NOW),
        lambda store: store.hit("x", 1),
        lambda store: store.count("x", range(1)),
        lambda store: store.add_instance(an_instance()),
        lambda store: store.list_instances(),
        lambda store: store.check(),
    ],
)
async def test_every_method_says_that_the_store_cannot_be_used(tmp_path: Path, use: object) -> None:
    store = SQLiteStore(tmp_path)
    store.close()
    assert callable(use)
    with pytest.raises(StoreUnavailable):
        await use(store)


async def test_an_error_names_no_value(store: SQLiteStore) -> None:
    login = a_login(id="the-secret")
    await store.create(login)
    with pytest.raises(StoreUnavailable) as told:
        await store.create(login)
    assert "the-secret" not in str(told.value)
