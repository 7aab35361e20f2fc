"""The opencode plugin, built: a wheel carries it, and a clone builds it with Node.

The build of a wheel runs this too, where nothing that this package needs is installed. As a program
it builds the plugin of its clone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

from .errors import ConfigError
from .files import locked

CARRIED = Path(__file__).with_name("plugin.js")
CLONE = Path(__file__).parents[2]


def build(root: Path) -> Path:
    """Build the plugin of a clone, unless it is; an sdist has it built. Raises ConfigError."""
    plugin, built = root / "plugin", root / "plugin/dist/index.js"
    if not (plugin / "src").is_dir():
        if built.is_file():
            return built
    elif _fits(plugin):
        return built
    elif shutil.which("npm"):
        if not os.access(plugin, os.W_OK):
            raise ConfigError(
                f"The opencode plugin is not built in {root}, and only another user may write "
                f"there: as that one run `{quote(sys.executable)} -m opencode_relay.bundle`."
            )
        with locked(plugin):
            if not _fits(plugin):  # another may have built it meanwhile
                _build(plugin)
        return built
    raise ConfigError(
        f"The opencode plugin is not built in {root}, or from another source, and building it "
        "takes Node: install Node 20 or newer, with npm, and try again."
    )


def read() -> bytes:
    """Return the plugin that belongs to this program. Raises ConfigError."""
    if (CLONE / "plugin/package.json").is_file():
        return build(CLONE).read_bytes()
    if not CARRIED.is_file():
        raise ConfigError(
            "This opencode-relay was installed where its plugin could not be built: install Node "
            "20 or newer, with npm, and then opencode-relay anew."
        )
    return CARRIED.read_bytes()


def _build(plugin: Path) -> None:
    built, part = plugin / "dist/index.js", plugin / f"dist/{os.getpid()}.part"
    if not _has_dependencies(plugin):
        _npm(plugin, "ci", "--ignore-scripts")
    _npm(plugin, "run", "build", "--", f"--outfile={part.relative_to(plugin)}")
    part.replace(built)
    _stamp(plugin).write_text(_made_of(plugin))


def _stamp(plugin: Path) -> Path:
    return plugin / "dist/built-from"


def _fits(plugin: Path) -> bool:
    """Whether what is built is whole, and of this source: that of before a `git pull` is not."""
    try:
        return _stamp(plugin).read_text() == _made_of(plugin)
    except OSError:
        return False


def _made_of(plugin: Path) -> str:
    """Digest what is built and what from. Raises OSError."""
    sources = sorted(path for path in (plugin / "src").rglob("*") if path.is_file())
    files = (plugin / "dist/index.js", plugin / "package.json", _lock(plugin), *sources)
    made_of = hashlib.sha256()
    for path in files:
        content = hashlib.sha256(path.read_bytes())
        made_of.update(f"{path.relative_to(plugin)} {content.hexdigest()}\n".encode())
    return made_of.hexdigest()


def _has_dependencies(plugin: Path) -> bool:
    """Whether npm has come to its end, with what the lock names now; it may leave out optional."""
    with suppress(OSError, ValueError, KeyError):
        wanted = _packages(_lock(plugin))
        found = _packages(plugin / "node_modules/.package-lock.json")
        return all(
            found[name].get("integrity") == one.get("integrity")
            if name in found
            else one.get("optional")
            for name, one in wanted.items()
            if name
        )
    return False


def _lock(plugin: Path) -> Path:
    return plugin / "package-lock.json"


def _packages(lock: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(lock.read_bytes())["packages"]
    return found


def _npm(plugin: Path, *words: str) -> None:
    done = subprocess.run(  # noqa: S603
        ["npm", "--silent", *words],  # noqa: S607
        cwd=plugin,
        # Not the key: a package's program has no use for it.
        env={name: one for name, one in os.environ.items() if not name.startswith("OPENCODE_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-500:]
        raise ConfigError(f"`npm {' '.join(words)}` fails in {plugin}: {last}")


if __name__ == "__main__":
    try:
        build(CLONE)
    except ConfigError as wrong:
        sys.exit(str(wrong))
