"""What `serve` listens on: which Unix sockets it makes, replaces and removes."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opencode_relay.errors import ConfigError
from opencode_relay.machine.listener import address, listening


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.sock"


def left_behind(path: Path) -> None:
    """Make the socket file of a process that was killed."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as told, listening(f"unix:{path}", 0):
        pass
    return str(told.value)


def test_it_is_for_owner_and_group_alone_and_goes_with_the_relay(path: Path) -> None:
    before = os.umask(0)
    try:
        with listening(f"unix:{path}", 0) as listener:
            assert stat.S_IMODE(path.lstat().st_mode) == 0o660
            assert address(listener) == f"unix:{path}"
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert not path.exists()


def test_it_has_that_mode_from_its_first_moment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    class Watched(socket.socket):
        def listen(self, backlog: int = 0, /) -> None:
            modes.append(stat.S_IMODE(path.lstat().st_mode))
            super().listen(backlog)

    monkeypatch.setattr(socket, "socket", Watched)
    with listening(f"unix:{path}", 0):
        pass
    assert modes == [0o660]


def test_of_two_that_begin_at_once_the_second_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Watched(socket.socket):
        def bind(self, address: Any, /) -> None:
            with path.with_name("relay.sock.lock").open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    seen.append("it would wait")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Watched)
    with listening(f"unix:{path}", 0):
        pass
    assert seen == ["it would wait"]


def test_a_path_may_be_relative(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with listening(f"unix:{path.name}", 0) as listener:
        assert address(listener) == f"unix:{path}"


def test_one_that_was_left_is_replaced(path: Path) -> None:
    left_behind(path)
    with listening(f"unix:{path}", 0), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))


def test_one_that_somebody_listens_on_is_not(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        assert "Something listens" in refused(path)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))


def test_nor_where_it_is_too_busy_to_answer(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as caller:
        other.bind(str(path))
        other.listen(0)
        caller.connect(str(path))
        assert "Something listens" in refused(path)
    assert path.exists()


@pytest.fixture(params=["a file", "a link to a file", "a link to a socket", "a link to nothing"])
def no_socket(request: pytest.FixtureRequest, path: Path) -> Iterator[Path]:
    other = path.with_name("other")
    if request.param in {"a file", "a link to a file"}:
        other.write_text("precious")
    if request.param == "a link to a socket":
        left_behind(other)
    if request.param == "a file":
        other.rename(path)
    else:
        path.symlink_to(other)
    yield path
    if request.param in {"a file", "a link to a file"}:
        assert path.read_text() == "precious"
    assert other.exists() == (request.param in {"a link to a file", "a link to a socket"})


def test_what_is_no_socket_is_never_removed_nor_followed(no_socket: Path) -> None:
    link = no_socket.is_symlink()
    assert "is no socket" in refused(no_socket)
    assert no_socket.is_symlink() == link


def test_at_its_end_it_leaves_a_socket_that_is_another_relays(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        with listening(f"unix:{path}", 0):
            path.unlink()
            other.bind(str(path))
            other.listen(1)
        assert path.exists()


def test_a_path_that_cannot_be_is_refused_in_words(path: Path) -> None:
    assert "No such file" in refused(path / "below")
    assert "too long" in refused(path.with_name("x" * 200))
    assert "null" in refused(path.with_name("a\0b"))
    with pytest.raises(ConfigError, match="takes a path"), listening("unix:", 0):
        pass
