"""An instance key, from whatever names it: on no command line, where a history or `ps` shows it."""

from __future__ import annotations

import os
import sys

import typer

from opencode_relay.errors import Refused
from opencode_relay.instances import instance_id_of
from opencode_relay.secret import Secret


def given_key(key_file: str | None) -> dict[str, str]:
    """Take the key, or where it is, as the plugin's options name it. Raises Refused.

    `-` is standard input, asked on a terminal.
    """
    if key_file == "-":
        return {"key": asked_key() if sys.stdin.isatty() else _valid(sys.stdin.read())}
    if key_file is None and (key := os.environ.get("OPENCODE_RELAY_KEY")):
        return {"key": _valid(key)}
    if file := key_file or os.environ.get("OPENCODE_RELAY_KEY_FILE"):
        # Not Path's, which raises at the home of ~nobody.
        return {"keyFile": os.path.abspath(os.path.expanduser(file))}  # noqa: PTH100, PTH111
    return {}


def asked_key() -> str:
    """Ask on the terminal, until it is a key."""
    while True:
        try:
            return _valid(typer.prompt("Instance key (it is not shown)", hide_input=True))
        except Refused as refused:
            print(refused, file=sys.stderr)


def _valid(text: str) -> str:
    """Raises Refused, and shows nothing of it."""
    key = text.strip()
    instance_id_of(Secret(key))
    return key
