"""How this program was started, for sentences that name a command: to be pasted as they stand."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

_NAME = "opencode-relay"
_CLONE = Path(__file__).parents[2]


def name() -> str:
    """Return the program's name for anybody to read: it tells nothing of this machine's files."""
    return f"uv run {_NAME}" if "UV_RUN_RECURSION_DEPTH" in os.environ else _NAME


def command(*words: object) -> str:
    """Return a command line for a shell on this machine, in backquotes."""
    return f"`{_program()} {shlex.join(map(str, words))}`"


def _program() -> str:
    by_uv, started = "UV" in os.environ, sys.argv[0]
    if "UV_RUN_RECURSION_DEPTH" in os.environ and Path.cwd().is_relative_to(_CLONE):
        return name()
    # uv puts a program on PATH for its own time alone.
    if shutil.which(_NAME) and not by_uv:
        return _NAME
    if Path(started).name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m opencode_relay.cli"
    if Path(started).name == _NAME:
        return shlex.quote(started)  # such as .venv/bin/opencode-relay
    return _NAME
