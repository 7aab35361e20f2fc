"""One version everywhere, and no release of what its tag does not say."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from opencode_relay import REPOSITORY, __version__

from .conftest import ROOT, copy_tracked

DATED = f"## {__version__}, 2026-01-01"


def run(tree: Path, script: str, *arguments: str, **env: str) -> tuple[str, str]:
    """Return what a script of a release prints, and what it complains of."""
    done = subprocess.run(
        [tree / "infra/release" / script, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == bool(done.stderr)
    return done.stdout, done.stderr


def commit(tree: Path) -> None:
    git = ["git", "-c", "user.name=a test", "-c", "user.email=test@example.com"]
    subprocess.run([*git, "add", "--all"], cwd=tree, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=All"], cwd=tree, check=True)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """This tree as it is on the day of its release, committed."""
    copy_tracked(tmp_path)
    changelog = tmp_path / "CHANGELOG.md"
    heading = re.compile(rf"^## {re.escape(__version__)}, .*$", re.MULTILINE)
    changed, count = heading.subn(DATED, changelog.read_text("utf-8"))
    assert count == 1
    changelog.write_text(changed, "utf-8")
    commit(tmp_path)
    return tmp_path


def test_there_is_one_version() -> None:
    said = {
        "package": json.loads((ROOT / "plugin/package.json").read_text())["version"],
        "lock": json.loads((ROOT / "plugin/package-lock.json").read_text())["version"],
        "extension": json.loads((ROOT / "infra/browser-extension/manifest.json").read_text())[
            "version"
        ],
        "shown": run(ROOT, "version.py")[0].strip(),
    }
    assert set(said.values()) == {__version__}, said
    names = re.compile(r"opencode[-_]relay-(\d+\.\d+\.\d+)")
    listed = ["git", "ls-files", "*.md"]
    pages = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for page in pages.split():
        assert set(names.findall((ROOT / page).read_text())) <= {__version__}, page


def test_another_version_is_written_everywhere(tree: Path) -> None:
    assert run(tree, "version.py", "9.8.7") == ("9.8.7\n", "")
    diff = ["git", "diff", "--name-only"]
    changed = subprocess.run(diff, cwd=tree, capture_output=True, text=True, check=True).stdout
    assert {
        "functions/opencode_relay/__init__.py",
        "infra/browser-extension/README.md",
        "infra/browser-extension/manifest.json",
        "plugin/package-lock.json",
        "plugin/package.json",
    } <= set(changed.split())
    commit(tree)
    assert "CHANGELOG.md has no heading" in run(tree, "notes.py", "v9.8.7")[1]


def test_the_notes_are_the_changelogs_section(tree: Path) -> None:
    notes, complaint = run(tree, "notes.py", f"v{__version__}")
    assert complaint == ""
    changelog = (tree / "CHANGELOG.md").read_text("utf-8")
    assert notes.strip()
    assert f"{DATED}\n\n{notes}" in changelog
    assert "\n## " not in notes


def test_a_tag_of_another_version_is_refused(tree: Path) -> None:
    assert run(tree, "notes.py", "v9.9.9") == (
        "",
        f"The tag is v9.9.9, and functions/opencode_relay/__init__.py says {__version__}.\n",
    )


def test_a_version_without_a_date_is_refused(tree: Path) -> None:
    replace(tree / "CHANGELOG.md", DATED, f"## {__version__}, unreleased")
    commit(tree)
    assert "CHANGELOG.md has no heading" in run(tree, "notes.py", f"v{__version__}")[1]


def test_what_is_not_committed_is_refused(tree: Path) -> None:
    (tree / "left-over").touch()
    assert "?? left-over" in run(tree, "notes.py", f"v{__version__}")[1]


def test_a_file_with_another_version_is_refused(tree: Path) -> None:
    replace(tree / "plugin/package.json", f'"version": "{__version__}"', '"version": "0.0.1"')
    commit(tree)
    mend = f"plugin/package.json does not say {__version__}: run infra/release/version.py"
    assert mend in run(tree, "notes.py", f"v{__version__}")[1]


def test_what_names_another_repository_is_refused(tree: Path) -> None:
    """PyPI would have its files already when npm refuses the provenance."""
    tag, fork = f"v{__version__}", {"GITHUB_REPOSITORY": "someone/fork"}
    url = "git+https://github.com/someone/fork.git"
    wanted = f'"repository": {{"type": "git", "url": "{url}", "directory": "plugin"}}'
    assert wanted in run(tree, "notes.py", tag, **fork)[1]
    replace(tree / "plugin/package.json", '"license":', f'{wanted},\n  "license":')
    commit(tree)
    wanted = 'REPOSITORY = "https://github.com/someone/fork"'
    assert wanted in run(tree, "notes.py", tag, **fork)[1]
    replace(tree / "functions/opencode_relay/__init__.py", f'REPOSITORY = "{REPOSITORY}"', wanted)
    commit(tree)
    assert run(tree, "notes.py", tag, **fork)[1] == ""
