"""opencode's own configuration folder: the plugin in it, and its settings.

opencode loads each `plugins/*.js`, and gives such a plugin no options: those stand beside it. The
file's name carries its version, so that what is there can be seen, and old ones are replaced.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

from opencode_relay import __version__
from opencode_relay.errors import ConfigError
from opencode_relay.files import locked

from . import entries
from .entries import PLUGIN, Entry

_PART = ".opencode-relay-"  # begins the name of what is not whole yet; opencode loads no such file

Options = dict[str, Any]


class Folder:
    """The folder of this user's opencode: `$XDG_CONFIG_HOME/opencode`, or `~/.config/opencode`."""

    def __init__(self) -> None:
        named = os.environ.get("XDG_CONFIG_HOME")
        try:
            self._home = Path.home()
        except RuntimeError:  # no HOME, and a user whom passwd does not know
            if not named:
                raise ConfigError(
                    "There is no home directory, so no folder of opencode's: name the one that "
                    "opencode's is in with XDG_CONFIG_HOME."
                ) from None
            self._home = Path(named)
        self.config = Path(named or self._home / ".config") / "opencode"
        self.plugins = self.config / "plugins"
        self.settings = self.plugins / "opencode-relay.json"
        self.plugin = self.plugins / f"opencode-relay-{__version__}.js"

    def installed(self) -> list[Path]:
        """List the plugins that are there: one, or none."""
        found = self.plugins.iterdir() if self.plugins.is_dir() else iter(())
        return sorted(path for path in found if PLUGIN.fullmatch(path.name))

    def options(self) -> Options | None:
        """Return what is set, None where nothing is. Raises ConfigError, and quotes nothing."""
        try:
            found = json.loads(self.settings.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise ConfigError(
                f"{self.settings} cannot be read ({wrong.strerror}): remove it as its owner, and "
                "connect again as the user of opencode."
            ) from None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConfigError(f"{self.settings} is no JSON object: mend or remove it.")
        return found

    def entry(self) -> Entry | None:
        """Find an entry of the plugin in opencode's configuration. Raises ConfigError."""
        return entries.entry_in(self.config)

    def has_base_url(self, provider: str) -> bool:
        """Whether opencode's configuration says where a provider is. Raises ConfigError."""
        return entries.has_base_url(self.config, provider)

    def refuse_entry(self) -> None:
        """Raises ConfigError where an opencode.json names the plugin: what is there wins."""
        if entry := self.entry():
            raise ConfigError(
                f"{entry.file} has the plugin already ({entry.name!r}), and that one wins: change "
                "it there, or remove it and run this again."
            )

    def refuse_others(self) -> None:
        """Raises ConfigError where others may write: they could put a plugin of theirs there.

        Whoever may write to a folder above can put another in its place. And what is written for
        another user, as by `sudo -E`, is not theirs to read.
        """
        folders = self._folders()
        if folders and (owner := folders[0].stat().st_uid) != os.geteuid():
            raise ConfigError(
                f"{folders[0]} belongs to another user (uid {owner}): run this as that one, whose "
                "opencode it is."
            )
        for folder in folders:
            mode = stat.S_IMODE(folder.stat().st_mode)
            if mode & 0o022:
                raise ConfigError(
                    f"Others may write to {folder} (mode {mode:04o}), and so to opencode's "
                    f"plugins: `chmod go-w {quote(str(folder))}` once nothing of theirs is in it."
                )

    def _folders(self) -> list[Path]:
        """List those that are there, from the plugins' up to the home."""
        top = self._home if self.plugins.is_relative_to(self._home) else self.config.parent
        above = [one for one in self.plugins.parents if one.is_relative_to(top)]
        return [one for one in (self.plugins, *above) if one.is_dir()]

    def write(self, plugin: bytes, options: Mapping[str, Any]) -> list[str]:
        """Put both there, and remove other versions; what is so already is left alone.

        Return what was done, in words. Raises OSError, and then nothing has changed.
        """
        wanted = {
            self.plugin: plugin,  # first: it may know more settings than the one before
            self.settings: (json.dumps(options, indent=2, ensure_ascii=False) + "\n").encode(),
        }
        for path in wanted:
            if path.is_symlink():
                raise ConfigError(f"{path} is a link: remove it.")  # its file is another's to write
        self.refuse_others()
        for folder in (*reversed(self.config.parents), self.config):
            folder.mkdir(mode=0o700, exist_ok=True)  # `parents` would make them by the umask
        with locked(self.config):
            self.plugins.mkdir(mode=0o700, exist_ok=True)
            done = self._replace(_differing(wanted))
            removed = self._remove([one for one in self.installed() if one != self.plugin])
        return [f"Wrote {path}" for path in done] + removed

    def _replace(self, wanted: Mapping[Path, bytes]) -> list[Path]:
        done: list[Path] = []
        try:
            new = {path: self._part(content) for path, content in wanted.items()}
            old = {path: self._part(path.read_bytes()) for path in new if path.exists()}
            try:
                for path, part in new.items():
                    part.replace(path)
                    done.append(path)
            except BaseException:
                for path in done:
                    old[path].replace(path) if path in old else path.unlink()
                raise
        finally:
            self._sweep()
        return done

    def remove(self) -> list[str]:
        """Remove exactly what `write` writes, and the folder if it has nothing else."""
        if not self.plugins.is_dir():
            return []
        with locked(self.config):
            self._sweep()
            done = self._remove([*self.installed(), self.settings])
            with suppress(OSError):  # other plugins are in it
                self.plugins.rmdir()
        return done

    def _remove(self, paths: list[Path]) -> list[str]:
        done = []
        for path in paths:
            with suppress(FileNotFoundError):
                path.unlink()
                done.append(f"Removed {path}")
        return done

    def _part(self, content: bytes) -> Path:
        handle, name = tempfile.mkstemp(prefix=_PART, dir=self.plugins)  # 0600: it has the key
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        return Path(name)

    def _sweep(self) -> None:
        """Remove what this attempt has left, or one that was killed: it may hold a key."""
        if self.plugins.is_dir():
            self._remove([one for one in self.plugins.iterdir() if one.name.startswith(_PART)])


def _differing(wanted: Mapping[Path, bytes]) -> dict[Path, bytes]:
    return {path: content for path, content in wanted.items() if not _is_so(path, content)}


def _is_so(path: Path, content: bytes) -> bool:
    """Whether a file has this content already, and is its owner's alone."""
    if not path.is_file() or path.stat().st_mode & 0o077:
        return False
    return path.read_bytes() == content
