"""What `sam build` makes: the same bytes everywhere, with byte code, nothing that cannot run."""

import ast
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.aws.conftest import build
from tests.aws.ric import PYTHON
from tests.aws.template import FUNCTIONS, ROOT
from tests.aws.tools import tool

# What only one machine runs.
WINGS = [f"opencode_relay/{wing}" for wing in ("cli", "client", "machine")]
ABSENT = ("uvicorn", "httpx", "typer", *WINGS)
PIN = re.compile(r"([a-z0-9-]+)(?:\[[a-z]+\])?==([0-9a-z.]+) \\")


def files(under: Path) -> dict[str, Path]:
    return {str(p.relative_to(under)): p for p in under.rglob("*") if p.is_file()}


def differing(one: Path, other: Path) -> set[str]:
    mine, theirs = files(one), files(other)
    both = mine.keys() & theirs.keys()
    changed = {n for n in both if not filecmp.cmp(mine[n], theirs[n], shallow=False)}
    return (mine.keys() ^ theirs.keys()) | changed


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PYTHON.exists():
        pytest.skip("no Python for the artifact: run tests/aws/install-tools")
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(
        ROOT / "functions", tmp_path_factory.mktemp("s") / "functions", ignore=ignored
    )


@pytest.fixture(scope="module")
def arm(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("arm"), "aarch64", source)


def test_the_two_machines_differ_in_nothing_but_wheels(
    arm: Path, source: Path, tmp_path: Path
) -> None:
    found = differing(arm, build(tmp_path, "x86_64", source))
    assert any(name.endswith(".so") for name in found)
    assert [n for n in found if not n.endswith(".so") and ".dist-info/" not in n] == []


def test_uv_and_pip_make_the_same_bytes(arm: Path, source: Path, tmp_path: Path) -> None:
    """On a machine that has nothing but the right Python; twice the same bytes, too."""
    only = tmp_path / "bin"
    only.mkdir()
    (only / "python3.13").symlink_to(PYTHON.resolve())
    to = tmp_path / "to"
    subprocess.run(
        [sys.executable, source / "build_artifact.py", to],
        env={**os.environ, "PATH": str(only)},
        check=True,
        timeout=600,
    )
    assert differing(arm, to) == set()


def test_any_python_can_begin_it(source: Path) -> None:
    """Such as the one that comes with macOS."""
    ast.parse((source / "build_artifact.py").read_text(), feature_version=(3, 9))


def test_modes_and_times_are_nobodys_own(arm: Path) -> None:
    for path in (arm, *arm.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
        assert path.stat().st_mtime == 315532800, path  # 1980: a zip file has no earlier time


def test_every_module_has_byte_code_that_nothing_checks_again(arm: Path) -> None:
    sources = [p for p in arm.rglob("*.py") if "__pycache__" not in p.parts]
    assert len(sources) > 500
    for path in sources:
        compiled = path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc"
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", path  # PEP 552: unchecked hash


def test_nothing_is_there_that_cannot_run(arm: Path) -> None:
    assert [name for name in ABSENT if (arm / name).exists()] == []
    assert {p.stem for p in arm.glob("*.py")} >= {
        "callback",
        "logins",
        "collect",
        "rotate_keys",
    }
    assert not [name for name in files(arm) if name.startswith("bin/")]


def test_it_is_small_enough_to_start_quickly(arm: Path) -> None:
    assert sum(path.stat().st_size for path in files(arm).values()) < 40_000_000


def test_what_is_deployed_is_pinned_and_hashed_and_names_no_index() -> None:
    text = (ROOT / "functions" / "requirements.txt").read_text()
    pins = dict(PIN.findall(text))
    lines = [line for line in text.splitlines() if not line.startswith("    --hash=sha256:")]
    assert len(pins) == len(lines)
    assert "://" not in text
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = asked["dependencies"] + asked["optional-dependencies"]["aws"]
    bounds = {re.split(r"[\[>]", one)[0]: one.partition(">=")[2].split(",<") for one in wanted}
    deployed = {re.split(r"[\[>]", one)[0] for one in _asked()}
    assert deployed <= pins.keys()
    for name in deployed:
        low, high = bounds[name]
        assert _parts(low) <= _parts(pins[name]) < _parts(high), name


def _asked() -> list[str]:
    lines = (ROOT / "functions" / "requirements.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_sam_builds_every_function(arm: Path, source: Path, tmp_path: Path) -> None:
    """The artifact of each is the one that the other tests look at."""
    shutil.copy(ROOT / "template.yaml", source.parent)
    shutil.copytree(ROOT / "infra", source.parent / "infra", dirs_exist_ok=True)
    to = tmp_path / "build"
    done = subprocess.run(
        [tool("sam", "sam"), "build", "--build-dir", to],
        cwd=source.parent,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "UV_PYTHON": str(PYTHON)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in FUNCTIONS:
        assert differing(arm, to / name) == set(), name
