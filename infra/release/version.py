#!/usr/bin/env python3
"""Shows the version, or writes another one everywhere it stands: version.py [0.3.0].

Its source is opencode_relay/__init__.py; what needs a copy in another language is listed here.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = "functions/opencode_relay/__init__.py"
# What stands before the version there, and what behind it.
PLACES = {
    SOURCE: ('^__version__ = "', '"$'),
    "plugin/package.json": ('^  "version": "', '"'),
    "plugin/package-lock.json": ('"name": "opencode-relay",\n +"version": "', '"'),
    "infra/browser-extension/manifest.json": ('^  "version": "', '"'),
    "infra/browser-extension/README.md": (r'opencode-relay\.crx" version="', '"'),
}
PACKED = (r"opencode[-_]relay(?:-extension)?-", r"(?:\.tgz|\.tar\.gz|\.zip|-py3)")
NUMBER = r"\d+\.\d+\.\d+"


def between(before: str, behind: str) -> re.Pattern[str]:
    return re.compile(f"({before})({NUMBER})({behind})", re.MULTILINE)


def places(root: Path) -> dict[str, re.Pattern[str]]:
    """Where a version stands: those above, and the names of packed files in the pages."""
    listed = ["git", "ls-files", "*.md"]
    pages = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout
    named = {page: between(*PACKED) for page in pages.splitlines()}
    return named | {path: between(*around) for path, around in PLACES.items()}


def found(root: Path = ROOT) -> dict[str, set[str]]:
    """Return the versions in each file that has one."""
    versions = {
        path: {one[2] for one in pattern.finditer((root / path).read_text("utf-8"))}
        for path, pattern in places(root).items()
    }
    return {path: some for path, some in versions.items() if some or path in PLACES}


def current(root: Path = ROOT) -> str:
    [version] = found(root)[SOURCE]
    return version


def write(version: str, root: Path = ROOT) -> None:
    for path, one in places(root).items():
        text = (root / path).read_text("utf-8")
        (root / path).write_text(one.sub(rf"\g<1>{version}\g<3>", text), "utf-8")


if __name__ == "__main__":
    if sys.argv[2:] or not all(re.fullmatch(NUMBER, one) for one in sys.argv[1:]):
        sys.exit("Usage: infra/release/version.py [MAJOR.MINOR.PATCH]")
    for wanted in sys.argv[1:]:
        write(wanted)
    print(current())
