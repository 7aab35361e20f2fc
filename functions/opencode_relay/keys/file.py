"""The key ring of one machine: a file of mode 0600, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opencode_relay import program
from opencode_relay.errors import StoreUnavailable
from opencode_relay.files import open_private, told

from .ring import BACKDATED, Ring


class KeyFile:
    """`keys.json` in the data directory. Methods raise StoreUnavailable with a sentence."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = data / "keys.json"
        self._new = data / "keys.new"
        self._clock = clock

    def load(self) -> Ring:
        """Read the ring; make the first one, or a key that is missing, where it is not there."""
        found = self._read()
        if found is None or found.missing():
            with self._locked():
                found = self._read_or_make()
        return found

    def changed_at(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def rotate(self) -> Ring:
        with self._locked():
            ring = self._read_or_make().rotated(self._clock())
            self._write(ring)
        return ring

    def rotate_if_due(self) -> bool:
        """Rotate when the keys are `MAX_AGE` old; drop outlived ones. Says if it rotated."""
        with self._locked():
            ring = self._read_or_make()
            tended = ring.tended(self._clock())
            if tended != ring:
                self._write(tended)
        return not set(tended.keys) <= set(ring.keys)

    def replace_all(self) -> Ring:
        """Begin anew after a leak: what was made with the old keys is worth nothing from now on."""
        with self._locked():
            ring = Ring.fresh(self._clock())
            self._write(ring)
        return ring

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, or two that rotate at once would each lose the other's keys."""
        try:
            with os.fdopen(open_private(self.path.with_suffix(".lock")), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                # Who was killed while writing has left keys behind.
                self._new.unlink(missing_ok=True)
                yield
        except OSError as wrong:
            raise StoreUnavailable(f"Cannot write {self.path}: {told(wrong)}.") from None

    def _read(self) -> Ring | None:
        try:
            return Ring.parse(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise StoreUnavailable(f"Cannot read {self.path}: {wrong}.") from None
        except ValueError:  # no UTF-8 is one, too
            again = program.command("keys", "rotate", "--now", "--data", self.path.parent)
            raise StoreUnavailable(
                f"{self.path} is damaged, or of a newer opencode-relay. New keys, which end open "
                f"logins: {again}."
            ) from None

    def _read_or_make(self) -> Ring:
        """For whoever holds the lock already; taking it again would wait for ever."""
        found = self._read() or Ring(())
        if found.missing():
            found = found.completed(self._clock() - BACKDATED)
            self._write(found)
        return found

    def _write(self, ring: Ring) -> None:
        # O_EXCL: nothing that somebody put there is followed or written to.
        handle = os.open(self._new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(ring.dump())
                file.flush()
                os.fsync(file.fileno())
            self._new.replace(self.path)
        except OSError:
            self._new.unlink(missing_ok=True)
            raise
