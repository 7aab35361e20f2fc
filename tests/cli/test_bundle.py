"""Where the plugin comes from: built in a clone, carried by a wheel, as it is in an sdist."""

from pathlib import Path

import pytest
from opencode_relay import bundle
from opencode_relay.errors import ConfigError

NPM = """#!/bin/sh
echo "$*" >>../asked
test "$*" != "$FAILS" || { echo "npm error: no network" >&2; exit 1; }
test "$1" = run || exit 0
mkdir -p dist && echo built >dist/index.js
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plugin/src").mkdir(parents=True)
    (tmp_path / "plugin/package.json").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/npm").write_text(NPM)
    (tmp_path / "bin/npm").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(bundle, "CLONE", tmp_path)
    monkeypatch.setattr(bundle, "CARRIED", tmp_path / "plugin.js")
    return tmp_path


def without_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def test_a_clone_builds_each_time_and_fetches_once(clone: Path) -> None:
    assert bundle.read() == b"built\n"
    (clone / "plugin/node_modules").mkdir()
    (clone / "plugin/dist/index.js").write_text("of yesterday")
    assert bundle.read() == b"built\n"
    wanted = ["ci --ignore-scripts --silent", "run build --silent", "run build --silent"]
    assert (clone / "asked").read_text().splitlines() == wanted


@pytest.mark.parametrize("command", ["ci --ignore-scripts", "run build"])
def test_what_npm_says_is_told(clone: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", f"{command} --silent")
    where = clone / "plugin"
    with pytest.raises(ConfigError, match=f"`npm {command}` fails in {where}: npm error: no netw"):
        bundle.read()


def test_without_node_a_clone_says_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_npm(monkeypatch)
    with pytest.raises(ConfigError, match=f"not built in {clone}.*: install Node 20 or newer"):
        bundle.read()


def test_an_sdist_needs_no_node(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "plugin/src").rmdir()
    (clone / "plugin/dist").mkdir()
    (clone / "plugin/dist/index.js").write_text("carried")
    assert bundle.build(clone).read_text() == "carried"
    assert not (clone / "asked").exists()
    without_npm(monkeypatch)
    assert bundle.build(clone).read_text() == "carried"


def test_a_wheel_carries_it_or_says_why_not(clone: Path) -> None:
    (clone / "plugin/package.json").unlink()
    with pytest.raises(ConfigError, match="installed where its plugin could not be built"):
        bundle.read()
    (clone / "plugin.js").write_text("carried")
    assert bundle.read() == b"carried"
