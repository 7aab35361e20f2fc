"""What the extension may do, and the file in which it is handed out."""

import json
import os
import re
import subprocess
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest
from opencode_relay.cli.catch import STATE_BEGINS
from opencode_relay.web import pages

from .conftest import EXTENSION, Launch, id_of

TEMPLATES = Path(pages.__file__).parent / "templates"
MANIFEST = json.loads((EXTENSION / "manifest.json").read_text())
FILES = sorted(
    path.name for path in EXTENSION.iterdir() if path.suffix in {".json", ".js", ".html", ".css"}
)


def pack(extension: Path, into: Path, umask: int = 0o022) -> bytes:
    subprocess.run([extension / "pack", into], check=True, umask=umask, env=dict(os.environ))
    return into.read_bytes()


def test_its_style_is_the_relays_own() -> None:
    """A copy, for the extension is also loaded from a clone, and takes nothing from outside it."""
    assert (EXTENSION / "page.css").read_bytes() == (TEMPLATES / "style.css").read_bytes()


def test_extension_asks_for_the_least() -> None:
    assert MANIFEST["manifest_version"] == 3
    assert MANIFEST["permissions"] == ["declarativeNetRequestWithHostAccess", "storage"]
    assert MANIFEST["host_permissions"] == ["http://localhost:1455/*"]
    assert MANIFEST["web_accessible_resources"] == [
        {"resources": ["onward.html"], "matches": ["<all_urls>"], "use_dynamic_url": True}
    ]
    assert set(MANIFEST) == {
        "manifest_version",
        "name",
        "description",
        "version",
        "minimum_chrome_version",
        "permissions",
        "host_permissions",
        "background",
        "incognito",
        "web_accessible_resources",
        "options_ui",
        "storage",
        "content_security_policy",
    }  # no content scripts, no optional permissions, nothing connectable from outside


def test_extension_pages_have_a_strict_policy() -> None:
    policy = MANIFEST["content_security_policy"]["extension_pages"]
    assert set(policy.split("; ")) == {
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    }
    for page in EXTENSION.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*src=)|<style| on\w+=| style=", text), page.name


def test_extension_holds_to_the_protocols_bytes() -> None:
    assert f'"{STATE_BEGINS}"' in (EXTENSION / "carry.js").read_text()


def test_extension_names_no_address_but_localhost() -> None:
    for name in FILES:
        found = re.findall(r"https?://\w[\w.:-]*\w", (EXTENSION / name).read_text())
        assert set(found) <= {"http://localhost:1455", "https://relay.example.com"}, name


def test_extension_loads_without_a_warning(launch: Launch, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    pack(EXTENSION, tmp_path / "made.zip")
    with ZipFile(tmp_path / "made.zip") as packed:
        packed.extractall(unpacked)
    with launch(tmp_path / "profile", unpacked) as chromium:
        page = chromium.context.new_page()
        page.goto("chrome://extensions")
        info = page.evaluate(
            """id => new Promise(done => chrome.developerPrivate.getExtensionInfo(id, done))""",
            id_of(unpacked),
        )
        assert info["state"] == "ENABLED"
        assert info["manifestErrors"] == info["runtimeErrors"] == info["installWarnings"] == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_extension_zip_is_the_same_each_time(tmp_path: Path, umask: int) -> None:
    first = pack(EXTENSION, tmp_path / "first.zip")
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for path in sorted(EXTENSION.iterdir(), reverse=True):
        made = copy / path.name
        made.write_bytes(path.read_bytes())
        made.chmod(0o700 & ~umask | 0o500)
        os.utime(made, (86400 * umask, 86400 * umask))
    (copy / "notes.txt").write_text("left out")
    assert pack(copy, tmp_path / "second.zip", umask) == first
    assert pack(copy, tmp_path / "second.zip", umask) == first  # over an older one


def test_extension_zip_holds_the_extension_alone(tmp_path: Path) -> None:
    pack(EXTENSION, tmp_path / "made.zip")
    with ZipFile(tmp_path / "made.zip") as packed:
        assert packed.namelist() == FILES
        assert "manifest.json" in FILES
        for entry in packed.infolist():
            assert packed.read(entry) == (EXTENSION / entry.filename).read_bytes()
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o100644
            assert entry.compress_type == ZIP_STORED


def test_extension_pack_says_how_it_is_called() -> None:
    ran = subprocess.run([EXTENSION / "pack"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "Usage: pack FILE.zip\n")
