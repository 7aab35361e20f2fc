"""opencode's own configuration folder: the plugin in it, its settings, and who else names it.

opencode loads each `plugins/*.js`, and gives such a plugin no options: those stand beside it. The
file's name carries its version, so that what is there can be seen, and old ones are replaced.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from opencode_relay import __version__
from opencode_relay.errors import ConfigError
from opencode_relay.secret import Secret

PLUGIN = re.compile(r"opencode-relay-(\d[\w.+]*)\.js")
_PART = ".opencode-relay-"  # begins the name of what is not whole yet; opencode loads no such file
_CONFIGS = ("config.json", "opencode.json", "opencode.jsonc")
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])')

Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an opencode.json names the plugin, and how."""

    file: Path
    name: str


class Folder:
    """The folder of this user's opencode: `$XDG_CONFIG_HOME/opencode`, or `~/.config/opencode`."""

    def __init__(self) -> None:
        base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        self.config = Path(base) / "opencode"
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
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConfigError(f"{self.settings} is no JSON object: mend or remove it.")
        return found

    def entry(self) -> Entry | None:
        """Find an entry of the plugin in opencode's configuration. Raises ConfigError."""
        for file in (self.config / name for name in _CONFIGS):
            with suppress(FileNotFoundError):
                for one in _plugins_of(file):
                    name = one[0] if isinstance(one, list) and one else one
                    if isinstance(name, str) and self._is_ours(name):
                        return Entry(file, name)
        return None

    def has_base_url(self, provider: str) -> bool:
        """Whether opencode's configuration says where a provider is. Raises ConfigError."""
        for file in (self.config / name for name in _CONFIGS):
            with suppress(FileNotFoundError):
                found = _config_in(file)
                for name in ("provider", provider, "options", "baseURL"):
                    found = found.get(name) if isinstance(found, dict) else None
                if found:
                    return True
        return False

    def refuse_entry(self) -> None:
        """Raises ConfigError where an opencode.json names the plugin: what is there wins."""
        if entry := self.entry():
            raise ConfigError(
                f"{entry.file} names the plugin already ({entry.name!r}), and that entry wins: "
                "change it there, or remove it and run this again."
            )

    def _is_ours(self, name: str) -> bool:
        if "opencode-relay" in name:
            return True
        path = self.config / name.removeprefix("file://")  # such as /clone/plugin/dist/index.js
        return path.is_file() and b"opencode-relay" in path.read_bytes()

    def write(self, plugin: bytes, options: Mapping[str, Any]) -> list[str]:
        """Put both there, and remove other versions; what is so already is left alone.

        Return what was done, in words. Raises OSError, and then nothing has changed.
        """
        wanted = {
            self.settings: (json.dumps(options, indent=2, ensure_ascii=False) + "\n").encode(),
            self.plugin: plugin,
        }
        for path in wanted:
            if path.is_symlink():
                raise ConfigError(f"{path} is a link: remove it.")  # its file is another's to write
        self.plugins.mkdir(mode=0o700, parents=True, exist_ok=True)
        done: list[Path] = []
        try:
            new = {path: self._part(content) for path, content in _differing(wanted).items()}
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
        removed = self._remove([one for one in self.installed() if one != self.plugin])
        return [f"Wrote {path}" for path in done] + removed

    def remove(self) -> list[str]:
        """Remove exactly what `write` writes, and the folder if it has nothing else."""
        self._sweep()
        done = self._remove([*self.installed(), self.settings])
        with suppress(OSError):  # other plugins are in it, or it is not there
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
        """Remove what an attempt has left, this one or one that was killed: it may hold a key."""
        if self.plugins.is_dir():
            self._remove([one for one in self.plugins.iterdir() if one.name.startswith(_PART)])


def key_of(options: Mapping[str, Any]) -> Secret | None:
    """Read the key that options hold or name; tell where others may. Raises ConfigError."""
    key, file = options.get("key"), options.get("keyFile")
    if key or not file:
        return Secret(key) if isinstance(key, str) and key else None
    path = Path(file)
    try:
        text, mode = path.read_text("utf-8").strip(), path.stat().st_mode & 0o7777
    except (OSError, ValueError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "no text"
        raise ConfigError(f"The key file {path} cannot be read: {why}.") from None
    if mode & 0o077:
        print(
            f"Others may read the key in {path} (mode {mode:04o}): `chmod 600 {quote(file)}`",
            file=sys.stderr,
        )
    return Secret(text)


def _differing(wanted: Mapping[Path, bytes]) -> dict[Path, bytes]:
    return {path: content for path, content in wanted.items() if not _is_so(path, content)}


def _is_so(path: Path, content: bytes) -> bool:
    """Whether a file has this content already, and is its owner's alone."""
    if not path.is_file() or path.stat().st_mode & 0o077:
        return False
    return path.read_bytes() == content


def _config_in(file: Path) -> object:
    """Read a configuration: JSON, with comments and commas at the end. Raises ConfigError."""
    text = _STRING_OR_COMMENT.sub(lambda one: one[1] or " ", file.read_text("utf-8"))
    try:
        return json.loads(_STRING_OR_LAST_COMMA.sub(lambda one: one[1] or "", text))
    except ValueError as wrong:
        raise ConfigError(f"opencode cannot read {file}: {wrong}. Mend it first.") from None


def _plugins_of(file: Path) -> list[Any]:
    found = _config_in(file)
    plugins = found.get("plugin") if isinstance(found, dict) else None
    return plugins if isinstance(plugins, list) else []
