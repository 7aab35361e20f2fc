"""SQLite's own promises: its file, several processes, kill -9, and clean-up."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from opencode_relay.errors import StoreUnavailable
from opencode_relay.login import OPEN, REMEMBERED, Status
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
def store(sqlite_store: SQLiteStore) -> SQLiteStore:
    return sqlite_store


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
