"""A port for a program that takes one by number."""

import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import TextIO

_HELD: list[TextIO] = []  # each is one port, locked as long as this process lives


def free_port() -> int:
    """Return one that no other test is given, not even by a pytest that runs beside this one.

    Nothing need listen there for long: a site's port is chosen minutes before its proxy starts. It
    is below those of outgoing connections, of which other tests hold thousands.
    """
    place = Path(tempfile.gettempdir(), f"opencode-relay-ports-{os.getuid()}")
    place.mkdir(mode=0o700, exist_ok=True)
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        lock = (place / str(port)).open("w")
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.create_server(("127.0.0.1", port)):
                _HELD.append(lock)
                return port
        lock.close()
