"""The embedded store: SQLite (WAL) in the data directory, for one machine.

A write is there after `kill -9`; what the last moments before a power cut wrote may be lost
(synchronous=NORMAL), never torn. Several processes may use one file.

What is erased has to be gone from the files too. SQLite zeroes what it frees (secure_delete), but
when it moves rows between pages it leaves copies in their unused parts. So `logins.apart` fills
what a row may have in a shared page, and all columns after it stand in pages of their own. The
write-ahead log holds what was erased until it is truncated: `empty_log`.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from opencode_relay.errors import NameTaken, StoreUnavailable
from opencode_relay.files import NO_LOCKS, open_private, told
from opencode_relay.instances import Instance
from opencode_relay.login import (
    MAX_TRIES,
    OPEN,
    OVER,
    REMEMBERED,
    Change,
    Confirmation,
    Delivery,
    Login,
    Status,
)

_SCHEMA = 2
_BUSY = 1000  # milliseconds to wait for another process's write
_BRIEFLY = 50  # milliseconds that nobody minds
_PAGE = 1024  # bytes; a row has less than a page in shared ones (SQLite file format, 1.6)
_PRAGMAS = (
    f"page_size={_PAGE}",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "secure_delete=ON",
    "temp_store=MEMORY",  # no journal of a statement in /tmp
)
_NO_LOCKS = {
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
_COLUMNS = tuple(f.name for f in fields(Login))
_TYPES = {"status": Status, "delivery": Delivery, "confirmation": Confirmation, "idp_error": bool}
_KINDS = tuple(_TYPES.get(name) for name in _COLUMNS)
_SECRETS = tuple(OVER)
_THERE = "id = ? AND status = ? AND expires_at > ?"
_TABLES = f"""
CREATE TABLE logins (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, delivery TEXT NOT NULL, confirmation TEXT NOT NULL,
    opened_at REAL NOT NULL, expires_at REAL NOT NULL, arrived_at REAL, idp_error INTEGER NOT NULL,
    tries INTEGER NOT NULL, apart BLOB NOT NULL DEFAULT (zeroblob({_PAGE})),
    collect_challenge TEXT, encryption_key TEXT, opened_from TEXT, instance_id TEXT,
    registered_name TEXT, name TEXT, provider TEXT, return_url TEXT, idp_issuer TEXT,
    pairing_hash TEXT, fingerprint TEXT, response TEXT, rendering TEXT
) STRICT;
CREATE INDEX logins_by_expiry ON logins (expires_at);
CREATE TABLE instances (
    id TEXT PRIMARY KEY, name_key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, key_hash TEXT NOT NULL,
    created_at REAL NOT NULL, return_urls TEXT NOT NULL, old_key_hash TEXT,
    old_key_until REAL NOT NULL, version INTEGER NOT NULL, last_used_at REAL
) STRICT, WITHOUT ROWID;
CREATE TABLE counters (
    minute INTEGER NOT NULL, counter TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (minute, counter)
) STRICT, WITHOUT ROWID;
"""
_SINCE_1 = "ALTER TABLE instances ADD COLUMN last_used_at REAL"


class SQLiteStore:
    """A `Store` in one file. Its calls take microseconds, so they run in the event loop itself."""

    def __init__(self, data: Path) -> None:
        """Open the file, and make it (0600) where there is none. Raises StoreUnavailable."""
        path = data / "relay.db"
        with _translated(path):
            # Made here, not by SQLite, so that it never is readable to others, and its WAL neither.
            handle = open_private(path)
            try:
                # SQLite takes ENOLCK for "locked by others"; on the first byte it locks nothing.
                fcntl.lockf(handle, fcntl.LOCK_SH, 1)
            finally:
                os.close(handle)
            self._path = path
            # Closed with the store at the latest, in whatever thread that is.
            self._db = sqlite3.connect(
                path, timeout=_BUSY / 1000, isolation_level=None, check_same_thread=False
            )
            weakref.finalize(self, self._db.close)
            self._db.row_factory = sqlite3.Row
            try:
                for pragma in _PRAGMAS:
                    self._db.execute(f"PRAGMA {pragma}")
                self._migrate()
            except (sqlite3.Error, StoreUnavailable):
                self.close()
                raise

    def _migrate(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            for statement in _TABLES.split(";\n"):
                self._db.execute(statement)
        elif found == 1:
            self._db.execute(_SINCE_1)
        if found < _SCHEMA:
            self._db.execute(f"PRAGMA user_version={_SCHEMA}")
        self._db.execute("COMMIT")
        if found > _SCHEMA:
            raise StoreUnavailable(f"{self._path} was written by a newer opencode-relay.")

    def close(self) -> None:
        self._db.close()

    async def create(self, login: Login) -> None:
        marks = ",".join("?" * len(_COLUMNS))
        values = [getattr(login, name) for name in _COLUMNS]
        self._run(f"INSERT INTO logins ({','.join(_COLUMNS)}) VALUES ({marks})", values)

    async def get(self, login_id: str) -> Login | None:
        rows = self._run(f"SELECT {','.join(_COLUMNS)} FROM logins WHERE id = ?", [login_id])
        return _login(rows[0]) if rows else None

    async def apply(self, login_id: str, change: Change) -> bool:
        sets = ",".join(f"{name} = ?" for name in change.values)
        rows = self._run(
            f"UPDATE logins SET {sets} WHERE {_THERE} RETURNING id",
            [*change.values.values(), login_id, change.when, change.now],
        )
        return bool(rows)

    async def count_try(self, login_id: str, now: float) -> int | None:
        rows = self._run(
            f"UPDATE logins SET tries = tries + 1 WHERE {_THERE} AND tries < ? RETURNING tries",
            [login_id, Status.HELD, now, MAX_TRIES],
        )
        return int(rows[0]["tries"]) if rows else None

    async def cancel_all(self, now: float, *, instance_id: str | None = None) -> Sequence[Login]:
        sets = ",".join(f"{name} = NULL" for name in _SECRETS)
        marks = ",".join("?" * len(OPEN))
        whose = "" if instance_id is None else " AND instance_id = ?"
        rows = self._run(
            f"UPDATE logins SET status = ?, {sets} "
            f"WHERE status IN ({marks}) AND expires_at > ?{whose} RETURNING {','.join(_COLUMNS)}",
            [Status.CANCELLED, *OPEN, now, *([] if instance_id is None else [instance_id])],
        )
        return [_login(row) for row in rows]

    async def hit(self, counter: str, minute: int) -> int:
        rows = self._run(
            "INSERT INTO counters VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",
            [minute, counter],
        )
        return int(rows[0]["n"])

    async def take_back(self, counter: str, minute: int) -> None:
        where = "minute = ? AND counter = ? AND n > 0"
        self._run(f"UPDATE counters SET n = n - 1 WHERE {where}", [minute, counter])

    async def count(self, counter: str, minutes: range) -> int:
        where = "counter = ? AND minute >= ? AND minute < ?"
        values = [counter, minutes.start, minutes.stop]
        rows = self._run(f"SELECT coalesce(sum(n), 0) FROM counters WHERE {where}", values)
        return int(rows[0][0])

    async def add_instance(self, instance: Instance) -> bool:
        row = _row(instance)
        rows = self._run(
            f"INSERT INTO instances ({','.join(row)}) VALUES ({','.join('?' * len(row))}) "
            "ON CONFLICT (name_key) DO NOTHING RETURNING id",
            list(row.values()),
        )
        return bool(rows)

    async def get_instance(self, instance_id: str) -> Instance | None:
        rows = self._run("SELECT * FROM instances WHERE id = ?", [instance_id])
        return _instance(rows[0]) if rows else None

    async def list_instances(self) -> Sequence[Instance]:
        return [_instance(row) for row in self._run("SELECT * FROM instances ORDER BY name", [])]

    async def replace_instance(self, instance: Instance) -> bool:
        row = _row(instance)
        row["version"] = instance.version + 1
        del row["last_used_at"]
        with _translated(self._path):
            try:
                done = self._db.execute(
                    f"UPDATE instances SET {','.join(f'{name} = ?' for name in row)} "
                    "WHERE id = ? AND version = ?",
                    [*row.values(), instance.id, instance.version],
                )
            except sqlite3.IntegrityError:
                raise NameTaken(instance.name) from None
        return done.rowcount > 0

    async def remove_instance(self, instance_id: str) -> bool:
        return bool(self._run("DELETE FROM instances WHERE id = ? RETURNING id", [instance_id]))

    async def note_use(self, instance_id: str, now: float, before: float) -> bool:
        rows = self._run(
            "UPDATE instances SET last_used_at = ? "
            "WHERE id = ? AND coalesce(last_used_at, ?) <= ? RETURNING id",
            [now, instance_id, before, before],
        )
        return bool(rows)

    async def check(self) -> None:
        self._run("SELECT 1 FROM logins LIMIT 1", [])

    def foreign_writes(self) -> int:
        """Return a number that is another one after another process has written."""
        return int(self._run("PRAGMA data_version", [])[0][0])

    def sweep(self, now: float) -> list[tuple[str, Status]]:
        """Erase what expired logins held, and forget them when nobody may ask any more.

        Returns those that expired, by whichever process it is that sweeps first: id, and status.
        """
        sets = ",".join(f"{name} = NULL" for name in _SECRETS)
        over = "expires_at <= ? AND encryption_key IS NOT NULL"
        rows = self._run(f"UPDATE logins SET {sets} WHERE {over} RETURNING id, status", [now])
        self._run("DELETE FROM logins WHERE expires_at <= ?", [now - REMEMBERED])
        self._run("DELETE FROM counters WHERE minute < ?", [int(now // 60) - 1])
        return [(row["id"], Status(row["status"])) for row in rows]

    def empty_log(self) -> bool:
        """Take what was erased out of the write-ahead log, whichever process erased it.

        False where others are in the way, and it has to be tried again.
        """
        with _translated(self._path):
            try:
                if not self._path.with_name("relay.db-wal").stat().st_size:
                    return True
            except FileNotFoundError:
                return True
            self._db.execute(f"PRAGMA busy_timeout={_BRIEFLY}")
            try:
                busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                self._db.execute(f"PRAGMA busy_timeout={_BUSY}")
        return not busy

    def _run(self, sql: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        with _translated(self._path):
            return self._db.execute(sql, values).fetchall()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        raise StoreUnavailable(f"Cannot use {path}: {told(wrong)}.") from None
    except sqlite3.Error as wrong:
        # SQLite's words name tables and files, never values.
        why = NO_LOCKS if getattr(wrong, "sqlite_errorcode", None) in _NO_LOCKS else wrong
        raise StoreUnavailable(f"Cannot use {path}: {why}.") from None


def _login(row: sqlite3.Row) -> Login:
    return Login(*(kind(value) if kind else value for kind, value in zip(_KINDS, row, strict=True)))


def _row(instance: Instance) -> dict[str, Any]:
    row = {f.name: getattr(instance, f.name) for f in fields(Instance)}
    return {**row, "name_key": instance.name_key, "return_urls": json.dumps(instance.return_urls)}


def _instance(row: sqlite3.Row) -> Instance:
    values = {f.name: row[f.name] for f in fields(Instance)}
    return Instance(**{**values, "return_urls": tuple(json.loads(row["return_urls"]))})
