"""When file descriptors run out: a line says so, nothing is lost, and it passes by."""

import http.client
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from opencode_relay.machine.descriptors import RESERVE

from tests.support.served import PATIENCE, Client, Served, until

FEW = 8  # connections that there is room for


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "data", tmp_path)
    yield served
    served.kill()


def leave_few(served: Served) -> int:
    """Lower the limit of a process to a few more than it has open; return the limit."""
    process = served.process.pid
    used = len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208  # counted, not walked
    most = used + FEW + RESERVE
    resource.prlimit(process, resource.RLIMIT_NOFILE, (most, most))
    return most


def said(served: Served) -> list[str]:
    return [e["detail"] for e in served.events if e["event"] == "descriptors_exhausted"]


def ask(connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    found = connection.getresponse()
    found.read()
    return found.status


def healthy(served: Served) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{served.url}/healthz").is_success
    return False


def test_it_says_so_once_loses_nothing_and_recovers(served: Served) -> None:
    client = Client(served, served.key)
    login = client.open()
    where = urlsplit(served.url)
    kept = http.client.HTTPConnection(where.netloc, timeout=PATIENCE)
    assert ask(kept, "/healthz") == 200
    most = leave_few(served)
    silent = [
        socket.create_connection((where.hostname, where.port)) for _ in range(FEW + RESERVE // 2)
    ]
    # Who has a place goes on, even with what is read for the first time: here a page.
    path = f"/auth/callback?state={login['state']}&error=access_denied"
    assert ask(kept, path) == 200
    (line,) = until(lambda: said(served), "a line")
    assert line.startswith(f"Of {most} file descriptors only the reserve is left")
    assert not healthy(served)
    kept.close()
    for connection in silent:
        connection.close()
    until(lambda: healthy(served), "it answers again")
    assert client.collect(login).json()["status"] == "released"
    assert len(said(served)) == 1
    assert served.stop() == 0
