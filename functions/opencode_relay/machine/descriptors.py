"""File descriptors: each connection takes one, and the store, keys and templates need some too."""

from __future__ import annotations

import resource
import socket

RESERVE = 32  # descriptors that no connection gets: for keys, templates, what SQLite opens


def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def scarce(one: socket.socket) -> bool:
    """Whether no more than the reserve is left: the system gives the lowest number that is free."""
    most = limit()
    return most != resource.RLIM_INFINITY and one.fileno() >= most - RESERVE


def exhausted() -> bool:
    """Whether new connections are turned away now."""
    try:
        with socket.socket() as one:
            return scarce(one)
    except OSError:
        return True
