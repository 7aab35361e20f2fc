"""File descriptors: each connection takes one, and the store, keys and templates need some too."""

from __future__ import annotations

import logging
import resource
import socket

from opencode_relay.events import Events

SAY_AGAIN = 60  # looks at least between two lines that they have run out
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


class Watch:
    """Looks every second whether they have run out, and says so once a minute at most."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._looks = self._may_say = 0

    def look(self) -> None:
        looks, self._looks = self._looks, self._looks + 1
        if looks < self._may_say or not exhausted():
            return
        self._may_say = looks + SAY_AGAIN
        detail = (
            f"Of {limit()} file descriptors only the reserve is left: new connections are closed "
            "unanswered until some end. `ulimit -Hn`, or LimitNOFILE of systemd, allows more."
        )
        self._events.tell("descriptors_exhausted", level=logging.ERROR, detail=detail)
