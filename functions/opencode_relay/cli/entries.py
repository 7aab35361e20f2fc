"""What an opencode.json says: entries of the plugin, which win over the file, and providers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from opencode_relay.errors import ConfigError

PLUGIN = re.compile(r"opencode-relay-(\d[\w.+]*)\.js")
_NAME = "opencode-relay"
_MARK = b'"opencode-relay"'  # in each build: it names itself in opencode's log
_CONFIGS = ("config.json", "opencode.json", "opencode.jsonc")
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])')
_FILE = re.compile(r"\{file:([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where opencode's configuration names the plugin, and how."""

    file: str
    name: str


def entry_in(folder: Path) -> Entry | None:
    """Find what brings the plugin, beside what `connect` writes. Raises ConfigError.

    An entry of opencode's configuration, or a copy in a folder from which opencode loads too.
    """
    for where, text in _configurations(folder):
        found = _parsed(where, text)
        plugins = found.get("plugin") if isinstance(found, dict) else None
        for one in plugins if isinstance(plugins, list) else []:
            name = one[0] if isinstance(one, list) and one else one
            if isinstance(name, str) and _is_ours(folder, name):
                return Entry(where, name)
    for copies in (folder / "plugin", folder / "plugins"):
        for path in sorted(copies.glob("*.[jt]s")):
            written = copies.name == "plugins" and PLUGIN.fullmatch(path.name)
            if not written and _has_mark(path):
                return Entry(str(copies), path.name)
    return None


def has_base_url(folder: Path, provider: str) -> bool:
    """Whether opencode's configuration says where a provider is. Raises ConfigError."""
    for where, text in _configurations(folder):
        found = _parsed(where, text)
        for name in ("provider", provider, "options", "baseURL"):
            found = found.get(name) if isinstance(found, dict) else None
        if found:
            return True
    return False


def _configurations(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each, as opencode reads them: in any encoding, or empty."""
    files = [folder / name for name in _CONFIGS]
    if named := os.environ.get("OPENCODE_CONFIG"):
        files.append(Path(named))
    for file in files:
        if file.is_file():
            yield str(file), file.read_text("utf-8-sig", errors="replace")
    if content := os.environ.get("OPENCODE_CONFIG_CONTENT"):
        yield "OPENCODE_CONFIG_CONTENT", content


def _parsed(where: str, text: str) -> Any:
    """Read a configuration: JSON, with comments and commas at the end. Raises ConfigError."""
    plain = _STRING_OR_COMMENT.sub(lambda one: one[1] or " ", text)
    plain = _STRING_OR_LAST_COMMA.sub(lambda one: one[1] or "", plain)
    try:
        return json.loads(plain) if plain.strip() else {}
    except (ValueError, RecursionError) as wrong:
        raise ConfigError(f"opencode cannot read {where}: {wrong}. Mend it first.") from None


def _is_ours(folder: Path, name: str) -> bool:
    """Whether opencode would load this plugin by that name: a package's, a file's, a folder's."""
    if found := _FILE.fullmatch(name):  # opencode puts the file's content there
        path = folder / found[1]
        name = path.read_text("utf-8", errors="replace").strip() if path.is_file() else ""
    if re.match(r"file:|[./~]", name):
        path = folder / Path(unquote(name.removeprefix("file://")))
        inside = ("index.js", "index.ts", "dist/index.js", "package.json")
        return any(map(_has_mark, [path / one for one in inside] if path.is_dir() else [path]))
    return name == _NAME or name.startswith(f"{_NAME}@")


def _has_mark(path: Path) -> bool:
    return path.is_file() and _MARK in path.read_bytes()
