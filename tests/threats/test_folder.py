"""The instance key in opencode's own folder, which other programs and people of a machine see."""

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from opencode_relay.cli.connect import connect
from opencode_relay.cli.folder import Folder
from opencode_relay.errors import ConfigError
from opencode_relay.instances import Instance

KEY = Instance.enrol("x", [], 0)[1].reveal()
OPTIONS = {"relay": "https://relay.example", "key": KEY}


class TestInstanceKeyWhereOthersReadIt:
    """CWE-732: a credential is written first and closed to others afterwards, or never."""

    @pytest.fixture(autouse=True)
    def open_umask(self) -> Iterator[None]:
        before = os.umask(0)
        yield
        os.umask(before)

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("OPENCODE_RELAY_KEY", KEY)
        return Folder()

    def test_it_is_its_owners_from_the_first_moment(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: set[int] = set()
        replace = Path.replace

        def watched(path: Path, target: Path) -> Path:
            seen.update(stat.S_IMODE(one.stat().st_mode) for one in folder.plugins.iterdir())
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", watched)
        for plugin in (b"one", b"two"):
            folder.write(plugin, {**OPTIONS, "n": plugin.decode()})
        assert seen == {0o600}
        for made in (folder.plugins, folder.config):
            assert stat.S_IMODE(made.stat().st_mode) == 0o700

    def test_a_file_that_was_opened_to_others_is_closed(self, folder: Folder) -> None:
        folder.write(b"plugin", OPTIONS)
        folder.settings.chmod(0o644)
        folder.write(b"plugin", OPTIONS)
        assert stat.S_IMODE(folder.settings.stat().st_mode) == 0o600

    def test_no_copy_of_it_is_left(self, folder: Folder) -> None:
        for plugin in (b"one", b"two"):
            folder.write(plugin, {**OPTIONS, "n": plugin.decode()})
            assert set(folder.plugins.iterdir()) == {folder.plugin, folder.settings}
        (folder.plugins / ".opencode-relay-of-one-that-was-killed").write_text(KEY)
        folder.remove()
        assert not folder.plugins.exists()

    def test_it_goes_where_no_link_leads(self, folder: Folder, tmp_path: Path) -> None:
        folder.plugins.mkdir(parents=True)
        folder.settings.symlink_to(tmp_path / "public")
        with pytest.raises(ConfigError, match="is a link"):
            folder.write(b"plugin", OPTIONS)
        assert not (tmp_path / "public").exists()
        assert folder.settings.is_symlink()

    def test_it_is_shown_to_nobody(
        self, folder: Folder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        connect("https://relay.example", show=True)
        shown = capsys.readouterr()
        assert '"key"' in shown.out
        assert KEY not in shown.out + shown.err
        folder.plugins.mkdir(parents=True)
        folder.settings.write_text(f'{{"key": "{KEY}"')
        with pytest.raises(ConfigError) as wrong:
            folder.options()
        assert KEY not in str(wrong.value)


class TestPluginWhereOthersWrite:
    """CWE-732, CWE-829: opencode runs whatever file stands in its plugins' folder."""

    @pytest.mark.parametrize("which", ["plugins", "opencode", ".config", "home"])
    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o720])
    def test_no_folder_above_it_is_others_to_write(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, mode: int
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        folder = Folder()
        folder.write(b"plugin", OPTIONS)
        folder.refuse_others()
        [found] = [one for one in (folder.plugins, *folder.plugins.parents) if one.name == which]
        found.chmod(mode)
        with pytest.raises(ConfigError, match=rf"Others may write to .*\(mode {mode:04o}\)"):
            folder.write(b"another", OPTIONS)
        assert folder.plugin.read_bytes() == b"plugin"

    def test_it_is_written_by_the_user_of_that_opencode(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Under `sudo -E` what is written would be root's, in a user's folder."""
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        Folder().write(b"plugin", OPTIONS)
        monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
        with pytest.raises(ConfigError, match="belongs to another user"):
            Folder().write(b"another", OPTIONS)
        assert Folder().plugin.read_bytes() == b"plugin"

    def test_two_at_once_wait_for_each_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that does not would remove the parts of the other, or mix two versions."""
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        folder, kept_out = Folder(), []
        replace, unlink = Path.replace, Path.unlink

        def others_wait() -> None:
            handle = os.open(folder.config, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                kept_out.append(True)
            os.close(handle)

        def replaced(path: Path, target: Path) -> Path:
            others_wait()
            return replace(path, target)

        def unlinked(path: Path) -> None:
            others_wait()
            unlink(path)

        monkeypatch.setattr(Path, "replace", replaced)
        monkeypatch.setattr(Path, "unlink", unlinked)
        folder.write(b"plugin", OPTIONS)
        folder.remove()
        assert kept_out == [True] * 4
