"""A tag releases what main has, by the word of somebody whom main names."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT

SETTINGS = ("user.name=a test", "user.email=test@example.com", "gpg.format=ssh")


class Repository:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "infra/release").mkdir(parents=True)
        shutil.copy(ROOT / "infra/release/tag", root / "infra/release")
        self.git("init", "--quiet")

    def git(self, *arguments: str, settings: tuple[str, ...] = SETTINGS) -> None:
        said = [word for one in settings for word in ("-c", one)]
        subprocess.run(["git", *said, *arguments], cwd=self.root, check=True)

    def key(self, name: str) -> str:
        path = self.root / ".git" / name
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
        subprocess.run(make, check=True)
        return path.with_suffix(".pub").read_text()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=All")

    def on_main(self) -> None:
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")

    def sign(self, by: str) -> None:
        mine = (*SETTINGS, f"user.signingKey=.git/{by}")
        self.git("tag", "--sign", "--message=It", "v1.0.0", settings=mine)

    def complaint(self) -> str:
        check = [str(self.root / "infra/release/tag"), "v1.0.0"]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == (not last.startswith('Good "git" signature for test@example.com'))
        return "" if done.returncode == 0 else last


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One whose main lets one person tag; another has a key, too."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("needs OpenSSH's ssh-keygen")
    made = Repository(tmp_path)
    (tmp_path / "infra/release/signers").write_text(f"test@example.com {made.key('who-may')}")
    made.key("who-may-not")
    made.commit()
    made.on_main()
    return made


def test_who_may_releases(repository: Repository) -> None:
    repository.sign("who-may")
    assert repository.complaint() == ""


def test_what_was_main_can_be_released(repository: Repository) -> None:
    repository.sign("who-may")
    repository.commit()
    repository.on_main()
    repository.git("checkout", "--quiet", "v1.0.0")
    assert repository.complaint() == ""


def test_who_may_not_does_not(repository: Repository) -> None:
    repository.sign("who-may-not")
    assert repository.complaint().startswith("v1.0.0 is signed by nobody")


def test_a_tag_without_a_signature_is_refused(repository: Repository) -> None:
    repository.git("tag", "v1.0.0")
    assert repository.complaint().startswith("v1.0.0 is signed by nobody")


def test_a_commit_that_is_not_mains_is_refused(repository: Repository) -> None:
    repository.commit()
    repository.sign("who-may")
    assert repository.complaint() == "v1.0.0 is on no commit of main."


def test_another_commit_than_this_is_refused(repository: Repository) -> None:
    repository.sign("who-may")
    repository.commit()
    repository.on_main()
    assert repository.complaint() == "v1.0.0 is on another commit than this."


def test_who_was_on_main_once_releases_nothing(repository: Repository) -> None:
    """A tag brings the list of its own commit, on which they stand for ever."""
    repository.sign("who-may")
    (repository.root / "infra/release/signers").write_text("")
    repository.commit()
    repository.on_main()
    repository.git("checkout", "--quiet", "v1.0.0")
    assert repository.complaint().startswith("v1.0.0 is signed by nobody")
