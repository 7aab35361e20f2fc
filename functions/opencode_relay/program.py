"""How this program was started, for sentences that name a command: to be pasted as they stand."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

_NAME = "opencode-relay"


def name() -> str:
    """Return the program's name for anybody to read: it tells nothing of this machine's files."""
    return f"uv run {_NAME}" if "UV_RUN_RECURSION_DEPTH" in os.environ else _NAME


def command(*words: object) -> str:
    """Return a command line for a shell on this machine, in backquotes."""
    program, started = name(), sys.argv[0]
    if program == _NAME == Path(started).name and not shutil.which(_NAME):
        program = shlex.quote(started)  # such as .venv/bin/opencode-relay
    return f"`{program} {shlex.join(map(str, words))}`"
