"""What `serve` listens on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from opencode_relay.errors import ConfigError

_BACKLOG = 2048


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen for as long as a `with` block. Raises ConfigError."""
    with _tcp(host, port) as listener:
        yield listener


def address(listener: socket.socket) -> str:
    """Return where it listens, as a URL."""
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
