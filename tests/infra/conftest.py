"""What a release is made of, built twice: here, and from a copy in another folder."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1763800440"


@dataclass(frozen=True)
class Release:
    here: Path
    elsewhere: Path

    def one(self, pattern: str) -> Path:
        [found] = self.here.glob(pattern)
        return found


def copy_tracked(into: Path) -> None:
    """Copy what a commit of this tree would hold, and put it under git there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for path in filter(None, listed.stdout.decode().split("\0")):
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, into / path)
    for arguments in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *arguments], cwd=into, check=True)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    missing = [name for name in ("uv", "npm", "git") if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    made = tmp_path_factory.mktemp("release")
    copy_tracked(made / "a copy")
    builds = Release(made / "here", made / "elsewhere")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    here = subprocess.Popen([ROOT / "infra/release/build", builds.here], env=environment)
    elsewhere = subprocess.run(
        [made / "a copy/infra/release/build", builds.elsewhere],
        env={**environment, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
        umask=0o077,
        check=False,
    )
    assert (here.wait(), elsewhere.returncode) == (0, 0)
    return builds
