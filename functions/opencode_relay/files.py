"""The files of a data directory: for their owner alone, in a directory that no other may write."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from .errors import ConfigError

PRIVATE = (
    "relay.db",
    "relay.db-wal",
    "relay.db-shm",
    "keys.json",
    "keys.new",
    "keys.lock",
    "instance.key",
    "url",
    "opencode.json",  # of 0.1, with the first instance's key
)

# What flock and fcntl say where a file system, such as one on the network, has no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
NO_LOCKS = (
    "this file system has no working locks, without which the store and the keys are not safe: "
    "name a directory on a local disk with RELAY_DATA"
)


def open_private(path: Path) -> int:
    """Open a file, or make it, for its owner alone; what it holds stays. Raises OSError.

    Through no link, which would have us write to somebody else's file.
    """
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o600)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others out that lock this folder too, where its file system has locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # NFS has none for what is only read
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def told(wrong: OSError) -> str:
    """Return an error in words, and how to mend it where the system's own say nothing of that."""
    if wrong.errno == errno.ELOOP:
        return f"{wrong.filename} is a symbolic link: remove it"
    return NO_LOCKS if wrong.errno in _NO_LOCKS else str(wrong)


def make_private(data: Path) -> dict[Path, str]:
    """Close to others what a restore or a careless copy has opened; return what, and its mode.

    The directory's own mode is not changed, for it may be a directory that others use too. Raises
    ConfigError where others may write to it, so that nothing in it can be relied on.
    """
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & 0o022:
        raise ConfigError(
            f"Others may write to the data directory {data} (mode {mode:04o}): "
            f"`chmod go-w {quote(str(data))}` once nothing of theirs is in it, or name a "
            "new directory below it with RELAY_DATA."
        )
    repaired = {}
    for path in (data / name for name in PRIVATE):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(
                f"{path} is a link, or no file at all: remove it. To keep the data elsewhere name "
                "that directory with RELAY_DATA."
            )
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            _close(path)
            repaired[path] = f"{mode:04o}"
    return repaired


def _close(path: Path) -> None:
    try:
        path.chmod(0o600)
    except OSError as wrong:
        raise ConfigError(
            f"Others may read or write {path}, and its mode cannot be changed ({wrong.strerror}): "
            f"`chmod 600 {quote(str(path))}` as its owner."
        ) from None
