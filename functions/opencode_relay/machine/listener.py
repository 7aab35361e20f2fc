"""What `serve` listens on: a TCP port, or a Unix socket that it shares with a proxy."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from opencode_relay.errors import ConfigError
from opencode_relay.files import open_private, told

_BACKLOG = 2048
_UNIX = "unix:"
_GROUP_TOO = 0o117  # a umask: only owner and group may connect


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen for as long as a `with` block, on `unix:/path` or a TCP port. Raises ConfigError."""
    if host.startswith(_UNIX):
        with _unix(host) as listener:
            yield listener
    else:
        with _tcp(host, port) as listener:
            yield listener


def address(listener: socket.socket) -> str:
    """Return where it listens, as a URL or `unix:/path`."""
    if listener.family == socket.AF_UNIX:
        return f"{_UNIX}{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # `::` is IPv4 too
        listener = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both
        )
    except OverflowError:
        raise ConfigError(f"{port} is not a port: take one from 0 to 65535.") from None
    except OSError as wrong:
        raise ConfigError(
            f"Cannot listen on {host}, port {port}: {wrong.strerror}. Is a relay running there "
            "already? --port takes another one."
        ) from None
    listener.set_inheritable(True)
    return listener


@contextmanager
def _unix(host: str) -> Iterator[socket.socket]:
    if host == _UNIX:
        raise ConfigError("unix: takes a path, such as unix:/run/opencode-relay/relay.sock.")
    path = Path(host.removeprefix(_UNIX)).absolute()
    try:
        with _locked(path):
            _make_way(path)
            listener = _bound(path)
    except (OSError, ValueError) as wrong:  # ValueError: a null byte
        why = told(wrong) if isinstance(wrong, OSError) and wrong.errno else wrong
        raise ConfigError(f"Cannot listen on {host}: {why}.") from None
    try:
        with listener:
            yield listener
    finally:
        with suppress(OSError, ConfigError), _locked(path):
            _make_way(path)  # but not for another relay that has begun by now


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two relays at once could each take the other's new socket for one that was left."""
    handle = open_private(path.with_name(f"{path.name}.lock"))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(_GROUP_TOO)  # a mode that came after the file would come too late
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _make_way(path: Path) -> None:
    """Remove a socket that a relay left when it was killed, and nothing else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):  # a link is none either
        raise ConfigError(f"{path} is there already and is no socket: name another path.")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a full backlog would hold it
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise ConfigError(f"Something listens on {path} already: end it, or name another path.")
