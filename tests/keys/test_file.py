"""The key ring of one machine: a private file, written whole, by one writer at a time."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.file import KeyFile
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import BACKDATED, HEAD_START, KEPT, MAX_AGE, Ring

from tests.support.clock import Clock

ROTATE = """
import sys
from pathlib import Path
from opencode_relay.keys.file import KeyFile
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    KeyFile(Path(sys.argv[1])).rotate()
"""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyfile(tmp_path: Path, clock: Clock) -> KeyFile:
    return KeyFile(tmp_path, clock)


def test_the_first_ring_is_made_and_kept(keyfile: KeyFile) -> None:
    assert keyfile.load().dump() == keyfile.load().dump()


def test_a_clock_that_is_set_back_after_the_first_start_has_a_key(
    keyfile: KeyFile, clock: Clock
) -> None:
    assert keyfile.load().in_use(Purpose.STATE, clock() - 240)


def test_its_files_are_for_their_owner_only(tmp_path: Path, keyfile: KeyFile) -> None:
    keyfile.load()
    keyfile.rotate()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"keys.json": 0o600, "keys.lock": 0o600}


def test_rotation_adds_a_key_for_each_purpose(keyfile: KeyFile, clock: Clock) -> None:
    before = keyfile.load()
    keyfile.rotate()
    after = keyfile.load()
    assert len(after.keys) == 2 * len(before.keys)
    assert {k.used_from for k in after.keys} == {clock() - BACKDATED, clock() + HEAD_START}


def test_nothing_is_due_for_90_days(keyfile: KeyFile, clock: Clock) -> None:
    before = keyfile.load().dump()
    clock.advance(MAX_AGE - BACKDATED - 1)
    assert not keyfile.rotate_if_due()
    assert keyfile.load().dump() == before


def test_after_90_days_it_rotates_once(keyfile: KeyFile, clock: Clock) -> None:
    keyfile.load()
    clock.advance(MAX_AGE)
    assert [keyfile.rotate_if_due() for _ in range(3)] == [True, False, False]
    assert len(keyfile.load().keys) == 2 * len(Purpose)


def test_outlived_keys_are_dropped_in_passing(keyfile: KeyFile, clock: Clock) -> None:
    keyfile.load()
    new = {key.kid for key in keyfile.rotate().keys[len(Purpose) :]}
    clock.advance(HEAD_START + KEPT)
    assert not keyfile.rotate_if_due()
    assert {key.kid for key in keyfile.load().keys} == new


def test_a_leaked_ring_is_replaced_whole(keyfile: KeyFile, clock: Clock) -> None:
    old = keyfile.load()
    new = keyfile.replace_all()
    assert not {k.material for k in old.keys} & {k.material for k in new.keys}
    assert {new.standing(key, clock()) for key in new.keys} == {"in use"}
    assert keyfile.load().dump() == new.dump()


@pytest.mark.parametrize("act", [KeyFile.rotate, KeyFile.rotate_if_due])
def test_a_ring_that_is_missing_is_made(keyfile: KeyFile, act: object) -> None:
    assert callable(act)
    act(keyfile)
    assert {key.purpose for key in keyfile.load().keys} == set(Purpose)


@pytest.mark.parametrize("act", [KeyFile.load, KeyFile.rotate, KeyFile.rotate_if_due])
def test_a_key_that_a_release_brings_is_made(keyfile: KeyFile, clock: Clock, act: object) -> None:
    """And nobody's login ends: the others stay."""
    assert callable(act)
    old = keyfile.load().keys
    keyfile.path.write_text(Ring(old[1:]).dump())
    act(keyfile)
    found = keyfile.load()
    assert not found.missing()
    assert found.in_use(old[0].purpose, clock())
    assert {key.material for key in old[1:]} < {key.material for key in found.keys}
    assert found.dump() == keyfile.load().dump()
    assert stat.S_IMODE(keyfile.path.stat().st_mode) == 0o600


def test_a_change_is_seen(keyfile: KeyFile) -> None:
    assert keyfile.changed_at() == 0
    keyfile.load()
    first = keyfile.changed_at()
    keyfile.rotate()
    assert 0 < first < keyfile.changed_at()


def test_two_that_rotate_at_once_lose_no_keys(tmp_path: Path, keyfile: KeyFile) -> None:
    keyfile.load()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ROTATE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in children:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in children:
        process.communicate("go\n")
        assert process.returncode == 0
    assert len(keyfile.load().keys) == len(Purpose) * 21


def test_keys_of_one_who_was_killed_while_writing_do_not_stay(
    keyfile: KeyFile, tmp_path: Path
) -> None:
    keyfile.load()
    (tmp_path / "keys.new").write_text("half a ring")
    keyfile.rotate_if_due()
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "keys.lock"}


# Planted


def test_a_link_in_place_of_the_lock_is_refused_and_its_target_left_alone(
    keyfile: KeyFile, tmp_path: Path
) -> None:
    target, link = tmp_path / "target", tmp_path / "keys.lock"
    target.write_text("of somebody else")
    target.chmod(0o644)
    link.symlink_to(target)
    with pytest.raises(StoreUnavailable, match=r"keys\.lock is a symbolic link: remove it"):
        keyfile.load()
    assert target.read_text() == "of somebody else"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_what_is_in_the_locks_place_is_not_truncated(keyfile: KeyFile, tmp_path: Path) -> None:
    lock = tmp_path / "keys.lock"
    lock.write_text("of somebody else")
    keyfile.load()
    assert lock.read_text() == "of somebody else"


def test_a_link_in_place_of_the_new_ring_is_replaced(keyfile: KeyFile, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("of somebody else")
    (tmp_path / "keys.new").symlink_to(tmp_path / "target")
    keyfile.load()
    assert (tmp_path / "target").read_text() == "of somebody else"
    assert not keyfile.path.is_symlink()


# Unusable


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(
    keyfile: KeyFile, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(StoreUnavailable, match=r"no working locks.* a local disk with RELAY_DATA"):
        keyfile.load()


def test_a_damaged_file_is_refused_and_left_alone(keyfile: KeyFile) -> None:
    keyfile.path.write_text("damaged")
    for act in (keyfile.load, keyfile.rotate, keyfile.rotate_if_due):
        with pytest.raises(StoreUnavailable, match="damaged"):
            act()
    assert keyfile.path.read_text() == "damaged"


def test_a_damaged_file_can_be_replaced(keyfile: KeyFile) -> None:
    keyfile.path.write_text("damaged")
    keyfile.replace_all()
    assert keyfile.load()


def test_a_file_that_is_no_text_is_refused(keyfile: KeyFile) -> None:
    keyfile.path.write_bytes(b"\xff")
    with pytest.raises(StoreUnavailable, match="damaged"):
        keyfile.load()


def test_a_file_that_cannot_be_read_is_refused(keyfile: KeyFile) -> None:
    keyfile.path.mkdir()
    with pytest.raises(StoreUnavailable, match="Cannot read"):
        keyfile.load()


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="Cannot write"):
        KeyFile(tmp_path / "nothing").load()


def test_a_full_disk_leaves_the_old_ring(
    keyfile: KeyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keyfile.load().dump()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        keyfile.rotate()
    assert keyfile.load().dump() == before
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "keys.lock"}
