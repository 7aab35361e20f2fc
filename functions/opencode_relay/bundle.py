"""The opencode plugin, built: a wheel carries it, and a clone builds it with Node.

The build of a wheel runs this too, where nothing that this package needs is installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .errors import ConfigError

CARRIED = Path(__file__).with_name("plugin.js")
CLONE = Path(__file__).parents[2]


def build(root: Path) -> Path:
    """Build the plugin of a clone, or of an sdist, which has it built. Raises ConfigError."""
    plugin, built = root / "plugin", root / "plugin/dist/index.js"
    if (plugin / "src").is_dir() and shutil.which("npm"):
        # Always: what was built before the last `git pull` is older than it looks.
        if not (plugin / "node_modules").is_dir():
            _npm(plugin, "ci", "--ignore-scripts")
        _npm(plugin, "run", "build")
    if not built.is_file():
        raise ConfigError(
            f"The opencode plugin is not built in {root}, and building it takes Node: install Node "
            "20 or newer, with npm, and try again."
        )
    return built


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


def _npm(plugin: Path, *words: str) -> None:
    done = subprocess.run(  # noqa: S603
        ["npm", *words, "--silent"],  # noqa: S607
        cwd=plugin,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-500:]
        raise ConfigError(f"`npm {' '.join(words)}` fails in {plugin}: {last}")
