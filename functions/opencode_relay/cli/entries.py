"""What an opencode.json says: entries of the plugin, which win over the file, and providers."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencode_relay.errors import ConfigError

_CONFIGS = ("config.json", "opencode.json", "opencode.jsonc")
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])')


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an opencode.json names the plugin, and how."""

    file: Path
    name: str


def entry_in(folder: Path) -> Entry | None:
    """Find an entry of the plugin in opencode's configuration. Raises ConfigError."""
    for file in (folder / name for name in _CONFIGS):
        with suppress(FileNotFoundError):
            for one in _plugins_of(file):
                name = one[0] if isinstance(one, list) and one else one
                if isinstance(name, str) and _is_ours(folder, name):
                    return Entry(file, name)
    return None


def has_base_url(folder: Path, provider: str) -> bool:
    """Whether opencode's configuration says where a provider is. Raises ConfigError."""
    for file in (folder / name for name in _CONFIGS):
        with suppress(FileNotFoundError):
            found = _config_in(file)
            for name in ("provider", provider, "options", "baseURL"):
                found = found.get(name) if isinstance(found, dict) else None
            if found:
                return True
    return False


def _is_ours(folder: Path, name: str) -> bool:
    if "opencode-relay" in name:
        return True
    path = folder / name.removeprefix("file://")  # such as /clone/plugin/dist/index.js
    return path.is_file() and b"opencode-relay" in path.read_bytes()


def _plugins_of(file: Path) -> list[Any]:
    found = _config_in(file)
    plugins = found.get("plugin") if isinstance(found, dict) else None
    return plugins if isinstance(plugins, list) else []


def _config_in(file: Path) -> object:
    """Read a configuration: JSON, with comments and commas at the end. Raises ConfigError."""
    text = _STRING_OR_COMMENT.sub(lambda one: one[1] or " ", file.read_text("utf-8"))
    try:
        return json.loads(_STRING_OR_LAST_COMMA.sub(lambda one: one[1] or "", text))
    except ValueError as wrong:
        raise ConfigError(f"opencode cannot read {file}: {wrong}. Mend it first.") from None
