"""A port for a program that takes one by number."""

import contextlib
import secrets
import socket


def free_port() -> int:
    """Return a free one below those of outgoing connections.

    One that the system chose could be somebody's outgoing one before the program listens on it:
    other tests hold thousands.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
