"""Homes on the machine of an opencode, where `connect` and its like are run."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from opencode_relay import __version__

from tests.support.served import Done, run_here

PLUGIN = f"opencode-relay-{__version__}.js"
SETTINGS = "opencode-relay.json"


class Home:
    """A home of somebody's, on the machine of an opencode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / ".config/opencode"
        self.plugins = self.config / "plugins"

    def run(self, *args: object, **env: str) -> Done:
        clean = dict.fromkeys(("XDG_CONFIG_HOME", "OPENCODE_RELAY_KEY", "OPENCODE_RELAY_URL"), "")
        return run_here(*args, **{**clean, "HOME": str(self.path), **env})

    def connect(self, *args: object, **env: str) -> Done:
        done = self.run("connect", *args, **env)
        assert done.returncode == 0, done.stderr
        return done

    def refused(self, *args: object, **env: str) -> str:
        """Run what must fail, and change nothing."""
        before = self.tree()
        done = self.run("connect", *args, **env)
        assert done.returncode == 1
        assert self.tree() == before
        return done.stderr

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.plugins / SETTINGS).read_text())
        return found

    def tree(self) -> dict[str, tuple[int, bytes, int]]:
        return {
            str(path.relative_to(self.path)): (
                stat.S_IMODE(path.stat().st_mode),
                path.read_bytes(),
                path.stat().st_mtime_ns,
            )
            for path in self.path.rglob("*")
            if path.is_file()
        }
