"""What is erased from SQLite's store is gone from its files."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from opencode_relay.login import Login, Status, cancel, finish, hold
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.stores import NOW, a_full_login, a_login


@pytest.fixture
def store(sqlite_store: SQLiteStore) -> SQLiteStore:
    return sqlite_store


def everything(data: Path) -> bytes:
    return b"".join(path.read_bytes() for path in data.iterdir())


def finished(store: SQLiteStore, login: Login) -> None:
    assert asyncio.run(store.apply(login.id, finish(login, NOW)))


@pytest.mark.parametrize(
    "erase",
    [
        lambda store, login: store.sweep(login.expires_at),
        finished,
        lambda store, login: asyncio.run(store.apply(login.id, cancel(login, NOW))),
        lambda store, _: asyncio.run(store.cancel_all(NOW)),
    ],
    ids=["expired", "finished", "cancelled", "all cancelled"],
)
def test_once_the_log_is_emptied_it_is_in_no_file(
    tmp_path: Path, store: SQLiteStore, erase: Callable[[SQLiteStore, Login], None]
) -> None:
    login = a_full_login(response="a-sealed-response-" * 50, status=Status.RELEASED)
    asyncio.run(store.create(login))
    assert store.empty_log()
    assert b"a-sealed-response" in everything(tmp_path)
    erase(store, login)
    assert store.empty_log()
    assert b"a-sealed-response" not in everything(tmp_path)


def test_what_another_process_erased_is_in_no_file_either(
    tmp_path: Path, store: SQLiteStore
) -> None:
    login = a_full_login(response="a-sealed-response-" * 50, status=Status.RELEASED)
    asyncio.run(store.create(login))
    other = SQLiteStore(tmp_path)
    finished(other, login)
    assert b"a-sealed-response" in everything(tmp_path)
    assert store.empty_log()
    assert b"a-sealed-response" not in everything(tmp_path)
    other.close()


@pytest.mark.parametrize("begin", ["BEGIN; SELECT * FROM logins", "BEGIN IMMEDIATE"])
def test_a_log_that_others_use_is_emptied_when_they_have_done(
    tmp_path: Path, store: SQLiteStore, begin: str
) -> None:
    asyncio.run(store.create(a_login()))
    other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
    for statement in begin.split(";"):
        other.execute(statement).fetchall()
    asyncio.run(store.get("x"))
    assert not store.empty_log()
    other.execute("COMMIT")
    assert store.empty_log()
    assert (tmp_path / "relay.db-wal").stat().st_size == 0
    other.close()


def test_a_log_that_was_never_made_is_empty(tmp_path: Path, store: SQLiteStore) -> None:
    (tmp_path / "relay.db-wal").unlink()
    assert store.empty_log()


def test_no_journal_of_a_statement_is_written_elsewhere(store: SQLiteStore) -> None:
    assert store._db.execute("PRAGMA temp_store").fetchone()[0] == 2


@pytest.mark.parametrize("length", [1, 40, 400, 900, 1100, 3000])
def test_no_page_that_rows_share_holds_what_will_be_erased(
    tmp_path: Path, store: SQLiteStore, length: int
) -> None:
    """SQLite moves rows between such pages, and leaves copies in the unused parts."""
    for _ in range(20):
        login = a_login(name="the-name" * length)
        asyncio.run(store.create(login))
        change = hold(NOW, fingerprint="the-print", response="the-response" * length)
        assert asyncio.run(store.apply(login.id, change))
    assert store.empty_log()
    file = (tmp_path / "relay.db").read_bytes()
    size = int.from_bytes(file[16:18], "big")
    pages = [file[n : n + size] for n in range(0, len(file), size)]
    # The file format's number for a leaf of a table; pages of one row's own begin with a zero.
    shared = [page for page in pages if page[0] == 0x0D]
    apart = [page for page in pages if page[0] == 0]
    assert any(b"the-name" in page for page in apart)
    for canary in (b"the-", b"203.0.113.7", b"c" * 43, b"workshop"):
        assert not any(canary in page for page in shared)
