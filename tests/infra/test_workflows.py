"""GitHub's workflows: valid, of the least permissions, without a secret; their steps run here."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto

from .conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
WRITES = {  # what a job may write, and why it must
    "provenance": {"attestations", "id-token"},
    "pypi": {"id-token"},
    "npm": {"id-token"},
    "images": {"attestations", "id-token", "packages"},
    "github": {"contents"},
}
SCRIPT = re.compile(r"(?:^|\s)((?:infra|tests|\.ci)/[\w./-]+)")


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["jobs"]
    return read


def program(name: str, *arguments: object) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_what_github_reads() -> None:
    program("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_an_auditor_finds_nothing() -> None:
    program("zizmor", "--offline", "--no-progress", *WORKFLOWS)


def test_ci_is_the_script() -> None:
    [job] = jobs(ROOT / ".github/workflows/ci.yml").values()
    assert job["steps"][-1]["run"] == ".ci/run"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_may_do_no_more_than_they_must(path: Path) -> None:
    text = path.read_text()
    assert "\npermissions: {}\n" in text
    assert "secrets." not in text
    assert "pull_request_target" not in text
    for name, job in jobs(path).items():
        writes = {what for what, how in job["permissions"].items() if how == "write"}
        assert writes == WRITES.get(name, set()), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_scripts_are_here(path: Path) -> None:
    for action in re.findall(r"uses: ([^\s]+)(.*)", path.read_text()):
        pinned = re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action[0]) and "# v" in action[1]
        assert pinned or action[0].startswith("./"), action
    for job in jobs(path).values():
        for step in job.get("steps", []):
            for script in SCRIPT.findall(step.get("run", "")):
                assert (ROOT / script).stat().st_mode & 0o100, script


def test_what_is_built_is_what_is_published() -> None:
    """No job that may publish builds anything, but images are pushed as they are built."""
    release = jobs(ROOT / ".github/workflows/release.yml")
    for name in set(WRITES) - {"images"}:
        used = [step.get("uses", "").partition("@")[0] for step in release[name]["steps"]]
        assert "actions/checkout" not in used, name
        assert "actions/download-artifact" in used, name
    assert release["provenance"]["needs"] == ["ci", "build"]
    assert {release[name]["needs"] for name in ("pypi", "npm")} == {"provenance"}
