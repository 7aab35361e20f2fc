"""PyPI shows the README: its links lead to the repository, where there is one."""

import re
import shutil
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from .conftest import ROOT, copy_tracked

HOME = "https://github.com/someone/relay"


def shown(tree: Path, repository: str) -> str:
    """Build a wheel of a project that is published there; return its metadata and its page."""
    uv = shutil.which("uv")
    if not uv:
        pytest.skip("needs uv")
    copy_tracked(tree)
    source = tree / "functions/opencode_relay/__init__.py"
    text = source.read_text("utf-8")
    published = f'\nREPOSITORY = "{repository}"'
    source.write_text(re.sub("\nREPOSITORY = .*", published, text), "utf-8")
    shutil.rmtree(tree / "plugin/src")  # no Node is needed for this
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", str(tree / "out"), str(tree)]
    subprocess.run(command, check=True)
    [wheel] = (tree / "out").glob("*.whl")
    with ZipFile(wheel) as opened:
        [metadata] = [name for name in opened.namelist() if name.endswith("/METADATA")]
        return opened.read(metadata).decode()


def test_every_link_of_the_page_is_whole(tmp_path: Path) -> None:
    page = shown(tmp_path, HOME)
    assert f"\nProject-URL: Source, {HOME}\n" in page
    links = re.findall(r'(?:\]\(|src="|href=")([^)"]*)', page)
    assert len(links) > 20
    assert all(link.startswith("https://") for link in links), links
    found = re.findall(rf'["(]{HOME}/(blob|raw)/v[\d.]+/([^)"#]+)', page)
    assert {kind for kind, _ in found} == {"blob", "raw"}
    for kind, path in found:
        assert (ROOT / path).exists(), path
        assert (kind == "raw") == path.endswith(".png"), path


def test_without_a_repository_it_is_the_readme(tmp_path: Path) -> None:
    page = shown(tmp_path, "")
    assert "Project-URL" not in page
    assert page.endswith((ROOT / "README.md").read_text("utf-8"))
