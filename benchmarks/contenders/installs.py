"""Installs contenders from their packages, pinned, once, outside the repository."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.harness.processes import environment


class Missing(Exception):
    """What a contender needs cannot be had here; the sentence says what."""


def node_version() -> str:
    said = _run(["node", "--version"], "Node")
    return said.strip().lstrip("v")


def node(script: Path, *args: str, env: Mapping[str, str]) -> list[str]:
    """Run a script of a contender that is installed, and return the words that it prints."""
    command = ["node", str(script), *args]
    done = subprocess.run(
        command, env=environment(env), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def cache() -> Path:
    """Return where contenders are kept: `RELAY_BENCHMARKS` or the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(os.environ.get("RELAY_BENCHMARKS") or Path(home) / "opencode-relay/benchmarks")


def npm(name: str, packages: Mapping[str, str], files: Iterable[Path]) -> Path:
    """Install npm packages, put `files` beside them, and return the directory. Raises Missing."""
    node_version()
    pins = [f"{package}@{version}" for package, version in packages.items()]
    home = _home(name, packages.values())
    if not (home / "installed").exists():
        (home / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", "--silent"]
        _run(["npm", "install", *quiet, *pins], name, home)
        (home / "installed").touch()
    for file in files:
        shutil.copy(file, home)
    return home


def pip(name: str, packages: Mapping[str, str]) -> Path:
    """Install Python packages for this very Python, and return its interpreter. Raises Missing."""
    pins = [f"{package}=={version}" for package, version in packages.items()]
    home = _home(name, [*packages.values(), platform.python_version()])
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        _run(["uv", "venv", "--clear", "--python", sys.executable, str(home)], name)
        _run(["uv", "pip", "install", "--python", str(python), *pins], name)
        (home / "installed").touch()
    return python


def _run(command: list[str], name: str, home: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, check=True, timeout=600
        )
    except subprocess.CalledProcessError as wrong:
        raise Missing(f"{name} cannot be had: {wrong.stderr}") from None
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise Missing(f"{name} cannot be had: {wrong}") from None
    return done.stdout


def _home(name: str, versions: Iterable[str]) -> Path:
    home = cache() / "-".join([name, *versions])
    home.mkdir(parents=True, exist_ok=True)
    return home
