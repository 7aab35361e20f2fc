"""The data directory and the first enrolment, where something is in their way."""

import asyncio
import multiprocessing
import os
import resource
import stat
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from opencode_relay.cli.home import Home, relay_of
from opencode_relay.cli.serve import _enrol_first, _write_private
from opencode_relay.errors import ConfigError
from opencode_relay.files import PRIVATE, make_private
from opencode_relay.instances import Instance

NOBODY = 65534


def open_as_nobody(data: Path, make: bool, told: Connection) -> None:
    if os.geteuid() == 0:  # root may write anywhere
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        Home(data, make=make)
        told.send("opened")
    except ConfigError as wrong:
        told.send(str(wrong))


@pytest.mark.parametrize(("mode", "make"), [(0o555, True), (0o000, True), (0o000, False)])
def test_a_directory_that_is_anothers_is_refused(mode: int, make: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        data.chmod(mode)
        hears, tells = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        child = context.Process(target=open_as_nobody, args=(data, make, tells))
        child.start()
        child.join()
        heard, owner = hears.recv(), data.owner()
        data.chmod(0o700)
        assert heard == (
            f"Cannot write to the data directory {data}: run this as {owner}, the relay's user, "
            f"such as by `runuser -u {owner} -- …` as root."
        )
        assert list(data.iterdir()) == []


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o777, 0o1777, 0o2775])
def test_a_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError) as told:
        Home(tmp_path, make=True)
    assert f"(mode {mode:04o}): `chmod go-w {tmp_path}`" in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_others_may_read_is_used_and_kept_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    home = Home(tmp_path, make=True)
    home.keys.load()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    home.store.close()


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_could_use_is_closed_to_them(
    tmp_path: Path, name: str, mode: int
) -> None:
    path = tmp_path / name
    path.touch()
    path.chmod(mode)
    assert make_private(tmp_path) == {path: f"{mode:04o}"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_private(tmp_path) == {}


def test_a_command_says_which_file_it_has_closed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.keys.load()
    home.keys.path.chmod(0o644)
    opened = relay_of(str(home.data), None)
    assert capsys.readouterr().err == (
        f"Others could use {home.keys.path} (its mode was 0644): it is 0600 now.\n"
    )
    assert isinstance(opened, Home)
    opened.store.close()


def test_every_file_that_a_relay_makes_is_looked_at(home: Home) -> None:
    home.keys.rotate()
    enrol_first(home)
    home.remember_url("https://relay.example")
    asyncio.run(home.store.list_instances())
    made = {path.name for path in home.data.iterdir()}
    assert made == set(PRIVATE) - {"keys.new", "opencode.json"}


def test_a_file_whose_mode_cannot_be_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.json").touch(0o644)
    (tmp_path / "keys.json").chmod(0o644)

    def not_ours(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", not_ours)
    with pytest.raises(ConfigError, match=r"Operation not permitted.*: `chmod 600 .*keys\.json`"):
        make_private(tmp_path)


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_refused_and_what_it_points_to_left_alone(
    tmp_path: Path, name: str, there: bool
) -> None:
    target, data = tmp_path / "target", tmp_path / "data"
    data.mkdir(0o700)
    (data / name).symlink_to(target)
    if there:
        target.write_text("of somebody else")
        target.chmod(0o644)
    with pytest.raises(ConfigError, match=f"{name} is a link, or no file at all: remove it"):
        Home(data, make=True)
    assert target.exists() == there
    if there:
        assert target.read_text() == "of somebody else"
        assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigError, match="no file at all"):
        Home(tmp_path, make=True)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as on a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            _write_private(tmp_path / "instance.key", "key")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_the_entry_is_not_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "instance.key"
    link.symlink_to(target)
    with pytest.raises(FileExistsError):
        _write_private(link, "key")
    assert not target.exists()


def enrol_first(home: Home) -> None:
    _enrol_first(home, home.first_key, "workshop", None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, make=True)
    yield home
    home.store.close()


def test_of_two_first_starts_at_once_the_later_leaves_the_earliers_key(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = home.first_key

    async def nobody_yet() -> list[Instance]:
        entry.write_text("the earlier's")
        return []

    with monkeypatch.context() as patched:
        patched.setattr(home.store, "list_instances", nobody_yet)
        enrol_first(home)
    assert entry.read_text() == "the earlier's"
    assert list(asyncio.run(home.store.list_instances())) == []


def test_a_key_whose_name_was_taken_meanwhile_is_not_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def taken(_: Instance) -> bool:
        return False

    monkeypatch.setattr(home.store, "add_instance", taken)
    enrol_first(home)
    assert not home.first_key.exists()
    assert capsys.readouterr().out == ""
