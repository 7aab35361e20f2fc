"""SQLite's own promises: its file, several processes, kill -9, clean-up, and being unusable."""

import asyncio
import errno
import functools
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opencode_relay.errors import StoreUnavailable
from opencode_relay.login import OPEN, REMEMBERED, Login, Status, cancel, finish, hold
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.stores import NOW, a_full_login, a_login, an_instance

# Children wait for a line before they begin, so that they begin together.
HOLD_ALL = """
import asyncio, sys
from pathlib import Path
from opencode_relay.login import hold
from opencode_relay.stores.sqlite import SQLiteStore
store = SQLiteStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = 0
for login_id in sys.argv[3:]:
    change = hold(float(sys.argv[2]), fingerprint="f", response="r")
    won += asyncio.run(store.apply(login_id, change))
print(won)
"""
WRITE_AND_STAY = """
import asyncio, sys
from pathlib import Path
from opencode_relay.stores.sqlite import SQLiteStore
from tests.support.stores import a_login
store = SQLiteStore(Path(sys.argv[1]))
asyncio.run(store.create(a_login(id="survivor")))
print("written", flush=True)
sys.stdin.readline()
"""


def child(script: str, *args: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def says(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path)
    yield store
    store.close()


# The file


def test_every_file_is_for_its_owner_only(tmp_path: Path, store: SQLiteStore) -> None:
    asyncio.run(store.create(a_login()))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("relay.db", "relay.db-wal", "relay.db-shm"), 0o600)


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    path.touch(0o644)
    SQLiteStore(tmp_path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_its_place_is_refused_and_its_target_left_alone(
    tmp_path: Path, there: bool
) -> None:
    target = tmp_path / "target"
    if there:
        target.touch(0o644)
        target.chmod(0o644)
    (tmp_path / "relay.db").symlink_to(target)
    with pytest.raises(StoreUnavailable, match="is a symbolic link: remove it"):
        SQLiteStore(tmp_path)
    assert target.exists() == there
    assert not there or stat.S_IMODE(target.stat().st_mode) == 0o644


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    login, instance = a_full_login(), an_instance()
    first = SQLiteStore(tmp_path)
    asyncio.run(first.create(login))
    asyncio.run(first.add_instance(instance))
    first.close()
    second = SQLiteStore(tmp_path)
    assert asyncio.run(second.get(login.id)) == login
    assert asyncio.run(second.get_instance(instance.id)) == instance
    second.close()


def test_the_file_of_an_older_relay_is_brought_up(tmp_path: Path) -> None:
    instance, login = an_instance(), a_full_login()
    first = SQLiteStore(tmp_path)
    asyncio.run(first.add_instance(instance))
    asyncio.run(first.create(login))
    first.close()
    raw = sqlite3.connect(tmp_path / "relay.db")
    raw.execute("ALTER TABLE instances DROP COLUMN last_used_at")
    raw.execute("PRAGMA user_version=1")
    raw.close()
    for _ in range(2):
        again = SQLiteStore(tmp_path)
        assert asyncio.run(again.get_instance(instance.id)) == instance
        assert asyncio.run(again.get(login.id)) == login
        again.close()
    raw = sqlite3.connect(tmp_path / "relay.db")
    assert raw.execute("PRAGMA user_version").fetchone() == (2,)
    raw.close()


def test_the_file_of_a_newer_relay_is_refused_and_left_alone(tmp_path: Path) -> None:
    SQLiteStore(tmp_path).close()
    raw = sqlite3.connect(tmp_path / "relay.db")
    raw.execute("PRAGMA user_version=99")
    with pytest.raises(StoreUnavailable, match="written by a newer opencode-relay"):
        SQLiteStore(tmp_path)
    assert raw.execute("PRAGMA user_version").fetchone() == (99,)
    raw.close()


def test_a_file_that_is_refused_is_not_kept_open(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_text("not a database, " * 100)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StoreUnavailable) as told:
        SQLiteStore(tmp_path)
    assert told
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Several processes


def test_a_write_is_there_after_kill_9(tmp_path: Path) -> None:
    with child(WRITE_AND_STAY, tmp_path) as writer:
        assert says(writer) == "written"
        writer.kill()
        assert writer.wait() == -9
    store = SQLiteStore(tmp_path)
    assert asyncio.run(store.get("survivor")) is not None
    store.close()


def test_of_two_processes_at_once_one_wins_each_login(tmp_path: Path, store: SQLiteStore) -> None:
    ids = [f"login-{n}" for n in range(200)]
    for login_id in ids:
        asyncio.run(store.create(a_login(id=login_id)))
    with child(HOLD_ALL, tmp_path, NOW, *ids) as one, child(HOLD_ALL, tmp_path, NOW, *ids) as two:
        assert [says(one), says(two)] == ["ready", "ready"]
        for process in (one, two):
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        assert int(says(one)) + int(says(two)) == len(ids)
    assert all(
        found and found.status is Status.HELD
        for found in (asyncio.run(store.get(login_id)) for login_id in ids)
    )


def test_foreign_writes_are_told_from_ones_own(tmp_path: Path, store: SQLiteStore) -> None:
    other = SQLiteStore(tmp_path)
    before = store.foreign_writes()
    asyncio.run(store.create(a_login()))
    assert store.foreign_writes() == before
    asyncio.run(other.create(a_login()))
    assert store.foreign_writes() != before
    other.close()


# Clean-up


def test_sweeping_erases_what_an_expired_login_held(store: SQLiteStore) -> None:
    login = a_full_login(status=Status.RELEASED)
    asyncio.run(store.create(login))
    store.sweep(login.expires_at)
    kept = asyncio.run(store.get(login.id))
    assert kept
    erased = (kept.response, kept.encryption_key, kept.pairing_hash, kept.fingerprint)
    assert erased == (None, None, None, None)
    assert kept.collect_challenge


def test_sweeping_tells_of_each_expired_login_once(tmp_path: Path, store: SQLiteStore) -> None:
    other = SQLiteStore(tmp_path)
    made = {status: a_full_login(id=f"{status}-{'x' * 22}", status=status) for status in OPEN}
    gone = {
        status: a_login(id=f"{status}-{'x' * 22}", status=status, encryption_key=None)
        for status in (Status.DECLINED, Status.CANCELLED, Status.FINISHED)
    }
    for login in (*made.values(), *gone.values()):
        asyncio.run(store.create(login))
    at = made[Status.HELD].expires_at
    assert store.sweep(at - 0.001) == []
    assert set(other.sweep(at)) == {(login.id, status) for status, login in made.items()}
    assert store.sweep(at) == other.sweep(at) == []
    other.close()


def test_sweeping_leaves_what_has_not_expired(store: SQLiteStore) -> None:
    login = a_full_login()
    asyncio.run(store.create(login))
    store.sweep(login.expires_at - 0.001)
    assert asyncio.run(store.get(login.id)) == login


def test_sweeping_forgets_ten_minutes_after_expiry(store: SQLiteStore) -> None:
    login = a_login()
    asyncio.run(store.create(login))
    store.sweep(login.expires_at + REMEMBERED - 0.001)
    assert asyncio.run(store.get(login.id))
    store.sweep(login.expires_at + REMEMBERED)
    assert asyncio.run(store.get(login.id)) is None


def test_sweeping_forgets_counters_of_the_minute_before_last(store: SQLiteStore) -> None:
    minute = int(NOW // 60)
    for n in range(3):
        asyncio.run(store.hit("x", minute - n))
    store.sweep(NOW)
    kept = range(minute - 2, minute + 1)
    assert [asyncio.run(store.count("x", range(m, m + 1))) for m in kept] == [0, 1, 1]


# What is erased is gone from the files


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


# Unusable


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
