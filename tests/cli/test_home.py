"""The data directory and the first enrolment, where something is in their way."""

import asyncio
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from opencode_relay.cli.home import Home
from opencode_relay.cli.serve import _enrol_first, _write_private
from opencode_relay.errors import ConfigError
from opencode_relay.instances import Instance

NOBODY = 65534


def open_as_nobody(data: Path, told: Connection) -> None:
    if os.geteuid() == 0:  # root may write anywhere
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        Home(data, make=True)
        told.send("opened")
    except ConfigError as wrong:
        told.send(str(wrong))


def test_a_directory_that_cannot_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        data.chmod(0o555)
        hears, tells = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        child = context.Process(target=open_as_nobody, args=(data, tells))
        child.start()
        child.join()
        assert hears.recv() == f"Cannot write to the data directory {data}: check its owner."
        assert list(data.iterdir()) == []


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as on a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            _write_private(tmp_path / "opencode.json", "key")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def enrol_first(home: Home) -> None:
    _enrol_first(home, "https://relay.example", "workshop")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, make=True)
    yield home
    home.store.close()


def test_of_two_first_starts_at_once_the_later_leaves_the_earliers_key(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = home.data / "opencode.json"

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
    assert not (home.data / "opencode.json").exists()
    assert capsys.readouterr().out == ""
