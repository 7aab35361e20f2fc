"""How the tests come by what they need: conftest.py at the root."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = '#!/bin/sh\necho "uv $*"\n'


def run(project: Path, group: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest, with options that one of its plugins might have, in a project with one test."""
    (project / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (project / "pyproject.toml").write_text(
        f'[dependency-groups]\ndev = [{{include-group = "x"}}, {group}]\n'
        '[tool.pytest.ini_options]\naddopts = ["--strict-config"]\n'
    )
    (project / "test_one.py").write_text("def test_runs(): pass\n")
    (project / "uv").write_text(UV)
    (project / "uv").chmod(0o700)
    kept = {k: v for k, v in os.environ.items() if k not in {"UV", "OPENCODE_RELAY_TESTS_FETCHED"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_one.py", "--cove=x"],
        cwd=project,
        env={**kept, "PATH": "/nowhere", **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_lacking_is_fetched_by_beginning_anew(tmp_path: Path) -> None:
    for group in ('"pytest>=1", "no-such-package>=1"', '"pytest<1"'):
        done = run(tmp_path, group, UV=str(tmp_path / "uv"))
        wanted = "uv run --group dev pytest -p no:cacheprovider test_one.py --cove=x\n"
        assert (done.returncode, done.stdout) == (0, wanted)
        assert "Fetching what tests need" in done.stderr


def test_with_all_of_it_nothing_is_fetched(tmp_path: Path) -> None:
    done = run(tmp_path, '"pytest>=1", "no-such>=1; sys_platform == \'none\'"', UV="/nowhere/uv")
    assert "unrecognized arguments: --cove=x" in done.stderr


def test_without_uv_or_in_vain_it_says_what_fetches_it(tmp_path: Path) -> None:
    for env in ({}, {"UV": str(tmp_path / "uv"), "OPENCODE_RELAY_TESTS_FETCHED": "1"}):
        done = run(tmp_path, '"no-such-package>=1"', **env)
        assert done.returncode == 4
        assert "no-such-package" in done.stderr
        assert "`uv run --group dev pytest`" in done.stderr
