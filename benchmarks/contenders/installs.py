"""Installs contenders from their packages, pinned, once, outside the repository."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path


def cache() -> Path:
    """Return where contenders are kept: `RELAY_BENCHMARKS` or the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(os.environ.get("RELAY_BENCHMARKS") or Path(home) / "opencode-relay/benchmarks")


def npm(name: str, packages: Mapping[str, str], files: Iterable[Path]) -> Path:
    """Install npm packages, put `files` beside them, and return the directory.

    Raises subprocess.CalledProcessError where npm cannot install, FileNotFoundError without it.
    """
    pins = [f"{package}@{version}" for package, version in packages.items()]
    home = _home(name, packages.values())
    if not (home / "installed").exists():
        (home / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", "--silent"]
        subprocess.run(["npm", "install", *quiet, *pins], cwd=home, check=True, timeout=600)
        (home / "installed").touch()
    for file in files:
        shutil.copy(file, home)
    return home


def pip(name: str, packages: Mapping[str, str]) -> Path:
    """Install Python packages for this very Python, and return the venv's interpreter."""
    pins = [f"{package}=={version}" for package, version in packages.items()]
    home = _home(name, packages.values())
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        uv = ["uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run([*uv, "pip", "install", "--python", python, *pins], check=True, timeout=600)
        (home / "installed").touch()
    return python


def _home(name: str, versions: Iterable[str]) -> Path:
    home = cache() / "-".join([name, *versions])
    home.mkdir(parents=True, exist_ok=True)
    return home
