"""What the plugin is told: its key, or the file that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from opencode_relay.errors import ConfigError, Refused
from opencode_relay.instances import instance_id_of
from opencode_relay.secret import Secret


def key_of(options: Mapping[str, Any]) -> Secret | None:
    """Read the key that options hold or name. Raises ConfigError, also for what is no key.

    A file of another secret, named by mistake, must not reach a relay.
    """
    key, file = options.get("key"), options.get("keyFile")
    text = key or (_content(Path(file)) if file else None)
    if text is None:
        return None
    found = Secret(text)
    try:
        instance_id_of(found)
    except Refused as refused:
        raise ConfigError(f"{'The key' if key else file}: {refused}") from None
    return found


def open_to_others(options: Mapping[str, Any]) -> str | None:
    """Say so where others may read the file that options name."""
    file = options.get("keyFile")
    if not file or options.get("key"):
        return None
    mode = Path(file).stat().st_mode & 0o7777
    if not mode & 0o077:
        return None
    return f"Others may read the key in {file} (mode {mode:04o}): `chmod 600 {quote(file)}`"


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "no text"
        raise ConfigError(f"The key file {path} cannot be read: {why}.") from None
