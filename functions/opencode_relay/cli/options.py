"""What the plugin is told: checked as it does itself, and the key, or the file that holds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from opencode_relay import addresses
from opencode_relay.errors import ConfigError, Refused
from opencode_relay.instances import instance_id_of
from opencode_relay.secret import Secret

_TEXTS = ("relay", "key", "keyFile", "publicUrl", "listen")
_FLAGS = ("catcher", "headless", "gitlab")
ALL = (*_TEXTS, "catcher", "headless", "providers", "gitlab")
_OF_A_RELAY = ("key", "keyFile", "publicUrl", "catcher")
_LISTEN = re.compile(r"unix:/.+|(?:\[[\da-f:.]+\]|[\w.-]+):\d{1,5}", re.ASCII | re.IGNORECASE)


def check(options: Mapping[str, Any], file: Path) -> None:
    """Raises ConfigError for settings that the plugin would refuse; they stand in `file`."""
    for name, value in options.items():
        if name not in ALL:
            raise ConfigError(
                f"The setting {name!r} is unknown: remove it from {file}. Known are "
                f"{', '.join(ALL)}."
            )
        if name in _TEXTS and not isinstance(value, str):
            raise ConfigError(f"The setting {name!r} must be a text: mend it in {file}.")
        if name in _FLAGS and str(value).lower() not in {"true", "false", "1", "0", ""}:
            raise ConfigError(f"The setting {name!r} must be true or false: mend it in {file}.")
    if relay := options.get("relay"):
        addresses.origin(relay, "The setting 'relay'")
    elif alone := next((name for name in _OF_A_RELAY if options.get(name)), None):
        raise ConfigError(f"The setting {alone!r} takes a relay: give its URL too.")
    public = options.get("publicUrl")
    if public and public != "auto":
        addresses.origin(public, "The setting 'publicUrl'")
    if (listen := options.get("listen")) and not _LISTEN.fullmatch(listen):
        raise ConfigError(
            "The setting 'listen' must be an address and a port, such as 127.0.0.1:4097, or "
            f"unix:/path: mend it in {file}."
        )


def key_of(options: Mapping[str, Any]) -> Secret | None:
    """Read the key that options hold or name. Raises ConfigError, also for what is no key.

    A file of another secret, named by mistake, must not reach a relay.
    """
    key, file = options.get("key"), options.get("keyFile")
    text = key or (_content(Path(str(file))) if file else None)
    if text is None:
        return None
    found = Secret(str(text))
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
