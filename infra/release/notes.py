#!/usr/bin/env python3
"""Prints what the changelog says of a tag's version: notes.py v0.2.0.

Ends with status 1 and a sentence where this commit is not what the tag says.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from version import ROOT, SOURCE, current, found


def notes(tag: str, root: Path = ROOT) -> str:
    """Return the section of the changelog; raise ValueError where a release must not begin."""
    version = current(root)
    if tag != f"v{version}":
        raise ValueError(f"The tag is {tag}, and {SOURCE} says {version}.")
    for path, versions in found(root).items():
        if versions != {version}:
            raise ValueError(
                f"{path} does not say {version}: run infra/release/version.py {version}"
            )
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    if changed:
        raise ValueError(f"What is released is what is committed, and this is not:\n{changed}")
    section = re.search(
        rf"^## {re.escape(version)}, (.*)\n+((?:(?!## ).*\n)+)",
        (root / "CHANGELOG.md").read_text("utf-8"),
        re.MULTILINE,
    )
    if not section or not re.fullmatch(r"\d{4}-\d\d-\d\d", section[1]):
        raise ValueError(f"CHANGELOG.md has no heading “## {version}, YEAR-MONTH-DAY”.")
    _where(root)
    return section[2]


def _where(root: Path) -> None:
    """Npm takes a provenance only where the package names the repository that built it.

    And the relay's page leads strangers to it, who must not land in somebody else's.
    """
    if not (repository := os.environ.get("GITHUB_REPOSITORY")):
        return
    home = f"https://github.com/{repository}"
    said = json.loads((root / "plugin/package.json").read_text("utf-8")).get("repository", {})
    if said.get("url") != f"git+{home}.git":
        wanted = f'"repository": {{"type": "git", "url": "git+{home}.git", "directory": "plugin"}}'
        raise ValueError(f"plugin/package.json must have {wanted}.")
    if f'\nREPOSITORY = "{home}"\n' not in (root / SOURCE).read_text("utf-8"):
        raise ValueError(f'{SOURCE} must have REPOSITORY = "{home}".')


if __name__ == "__main__":
    try:
        print(notes(sys.argv[1]), end="")
    except IndexError:
        sys.exit("Usage: infra/release/notes.py TAG")
    except ValueError as error:
        sys.exit(str(error))
