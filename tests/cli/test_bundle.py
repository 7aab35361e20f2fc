"""Where the plugin comes from: built in a clone, carried by a wheel, as it is in an sdist."""

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opencode_relay import bundle
from opencode_relay.errors import ConfigError

NPM = """#!/bin/sh
echo "$*" >>../asked
env >../environment
test "$2" != "$FAILS" || { echo "npm error: no network" >&2; exit 1; }
if test "$2" = ci; then
  mkdir -p node_modules
  cp package-lock.json node_modules/.package-lock.json
  exit
fi
part="${5#--outfile=}"
mkdir -p dist && printf "built " >"$part"
test -z "$SLOW" || sleep 1
cat src/index.ts >>"$part"
"""
PACKAGE, OTHERS = {"node_modules/x": {"integrity": "1"}}, {"node_modules/y": {"optional": True}}
LOCK = {"packages": {"": {}, **PACKAGE, **OTHERS}}
CI, RUN = "--silent ci --ignore-scripts", "--silent run build -- --outfile=dist/"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plugin/src").mkdir(parents=True)
    (tmp_path / "plugin/src/index.ts").write_text("1")
    (tmp_path / "plugin/package.json").touch()
    (tmp_path / "plugin/package-lock.json").write_text(json.dumps(LOCK))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/npm").write_text(NPM)
    (tmp_path / "bin/npm").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(bundle, "CLONE", tmp_path)
    monkeypatch.setattr(bundle, "CARRIED", tmp_path / "plugin.js")
    return tmp_path


def without_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def asked(clone: Path) -> list[str]:
    """Return what npm was asked for since the last look."""
    lines = (clone / "asked").read_text().splitlines() if (clone / "asked").exists() else []
    (clone / "asked").unlink(missing_ok=True)
    return [re.sub(r"dist/\d+\.part", "dist/", line) for line in lines]


def test_a_clone_builds_what_is_not_built_of_its_source(clone: Path) -> None:
    assert bundle.read() == b"built 1"
    assert asked(clone) == [CI, RUN]
    assert bundle.read() == b"built 1"
    assert asked(clone) == []
    (clone / "plugin/src/index.ts").write_text("2")
    assert bundle.read() == b"built 2"
    assert asked(clone) == [RUN]
    for damaged in ("", "built 0"):
        (clone / "plugin/dist/index.js").write_text(damaged)
        assert bundle.read() == b"built 2"
        assert asked(clone) == [RUN]


def test_what_the_lock_names_is_fetched(clone: Path) -> None:
    bundle.read()
    packages = clone / "plugin/node_modules/.package-lock.json"
    asked(clone)
    for found in ("", "{}", json.dumps({"packages": {"node_modules/x": {"integrity": "0"}}})):
        (clone / "plugin/dist/index.js").unlink()
        packages.write_text(found)  # "": npm was interrupted
        bundle.read()
        assert asked(clone) == [CI, RUN]
    packages.write_text(json.dumps({"packages": PACKAGE}))
    (clone / "plugin/dist/index.js").unlink()
    bundle.read()
    assert asked(clone) == [RUN]


def test_two_at_once_build_once(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW", "1")
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: bundle.read(), range(2)))
    assert found == [b"built 1"] * 2
    assert asked(clone) == [CI, RUN]


def test_npm_is_told_no_secret(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCODE_RELAY_KEY", "ocr_key")
    bundle.read()
    assert "ocr_key" not in (clone / "environment").read_text()


@pytest.mark.parametrize("command", ["ci", "run"])
def test_what_npm_says_is_told(clone: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", command)
    where = clone / "plugin"
    with pytest.raises(ConfigError, match=f"`npm {command} .*` fails in {where}: npm error: no"):
        bundle.read()


def test_what_is_built_serves_whom_may_not_write(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.read()
    asked(clone)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    assert bundle.read() == b"built 1"
    (clone / "plugin/src/index.ts").write_text("2")
    with pytest.raises(ConfigError, match=r"as that one run `.* -m opencode_relay\.bundle`"):
        bundle.read()
    without_npm(monkeypatch)
    with pytest.raises(ConfigError, match="or from another source"):
        bundle.read()
    assert asked(clone) == []


def test_without_node_a_clone_says_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_npm(monkeypatch)
    with pytest.raises(ConfigError, match=f"not built in {clone}.*: install Node 20 or newer"):
        bundle.read()


def test_an_sdist_needs_no_node(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(clone / "plugin/src")
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
