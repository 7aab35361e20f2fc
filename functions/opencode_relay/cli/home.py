"""The data directory of a relay on one machine: its store, its keys, who is enrolled."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from opencode_relay import program
from opencode_relay.errors import ConfigError
from opencode_relay.files import make_private, open_private
from opencode_relay.keys.file import KeyFile
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore

from .stack import Stack

Data = Annotated[
    str | None, typer.Option("--data", help="Directory of store and keys.", metavar="DIR")
]
StackName = Annotated[
    str | None, typer.Option("--stack", help="A relay on AWS instead: its stack's name.")
]
_WHERE = ("DATA", "STORE", "LOGINS_TABLE", "INSTANCES_TABLE", "KEYS_PATH")
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class Home:
    """A data directory, opened. Raises ConfigError or StoreUnavailable with a sentence.

    `repaired` names files that others could use, and the modes they had.
    """

    def __init__(self, data: Path, *, make: bool = False) -> None:
        self.data = data
        self.named = ("--data", str(data))
        if data.is_dir() and not os.access(data, os.W_OK | os.X_OK):
            raise ConfigError(f"Cannot write to the data directory {data}: {_as_its_owner(data)}.")
        if not make and not (data / "relay.db").exists():
            raise ConfigError(
                f"There is no relay in {data}: start {program.command('serve', '--data', data)} "
                "first, or name its directory with --data."
            )
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as wrong:
            raise ConfigError(f"Cannot make the data directory {data}: {wrong.strerror}.") from None
        self.repaired = make_private(data)
        self.store = SQLiteStore(data)
        self.keys = KeyFile(data)
        self.old_keys_live = 0  # its processes see the file change
        self.first_key = data / "instance.key"
        self._url = data / "url"

    def remember_url(self, url: str) -> None:
        """Keep the relay's public URL for commands that name it."""
        if self.url != url:
            with os.fdopen(open_private(self._url), "w", encoding="utf-8") as file:
                file.truncate()
                file.write(url)

    @property
    def url(self) -> str | None:
        """The relay's public URL, once `serve` has run."""
        return (self._url.read_text("utf-8") or None) if self._url.exists() else None


def _as_its_owner(data: Path) -> str:
    try:
        owner = data.owner()
    except (KeyError, OSError):  # a user without a name
        return "run this as the relay's user"
    return f"run this as {owner}, the relay's user, such as by `runuser -u {owner} -- …` as root"


def shared_of(data: str | None, stack: str | None, settings: Settings) -> Stack | None:
    """Open the relay on AWS that `--stack` or else `settings` name, if they do."""
    if settings.store == "sqlite":
        return None
    if data is not None:
        other = "--stack" if stack else "RELAY_STORE=dynamodb"
        raise ConfigError(f"--data and {other} name two relays: give one of them.")
    return Stack(stack, settings)


def relay_of(data: str | None, stack: str | None) -> Home | Stack:
    """Open the relay that `--stack`, `--data`, the environment or the default names."""
    given = {f"RELAY_{name}": os.environ.get(f"RELAY_{name}", "") for name in _WHERE}
    settings = Settings.load(given, data=data, store="dynamodb" if stack else None)
    if shared := shared_of(data, stack, settings):
        return shared
    home = Home(settings.data)
    for path, mode in home.repaired.items():
        print(f"Others could use {path} (its mode was {mode}): it is 0600 now.", file=sys.stderr)
    return home
