"""What a release is made of: the same bytes wherever it is built, and it runs alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from opencode_relay import __version__

from tests.e2e.opencode import opencode
from tests.e2e.processes import OPENCODE, wait_until

from .conftest import ROOT, Release

PYTHON_PACKAGE = f"opencode_relay-{__version__}"
MADE = {
    f"{PYTHON_PACKAGE}-py3-none-any.whl",
    f"{PYTHON_PACKAGE}.tar.gz",
    f"opencode-relay-{__version__}.tgz",
    f"opencode-relay-extension-{__version__}.zip",
    f"opencode-relay-{__version__}-python.cdx.json",
    f"opencode-relay-{__version__}-npm.cdx.json",
}


def test_two_builds_are_the_same_bytes(release: Release) -> None:
    assert {path.name for path in release.here.iterdir()} == MADE | {"SHA256SUMS"}
    for path in release.here.iterdir():
        assert path.read_bytes() == (release.elsewhere / path.name).read_bytes(), path.name


def test_every_file_has_its_checksum(release: Release) -> None:
    listed = (release.here / "SHA256SUMS").read_text().split()[1::2]
    assert set(listed) == MADE
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=release.here, check=True)


def test_the_packages_hold_what_runs_and_nothing_of_this_machine(release: Release) -> None:
    with ZipFile(release.one("*.whl")) as wheel:
        folders = {name.split("/")[0] for name in wheel.namelist()}
        assert folders == {"opencode_relay", f"{PYTHON_PACKAGE}.dist-info"}
        carried = wheel.read("opencode_relay/plugin.js")
    with tarfile.open(release.one("*.tgz")) as package:
        assert set(package.getnames()) >= {"package/dist/index.js", "package/LICENSE"}
        built = package.extractfile("package/dist/index.js")
        assert built
        assert built.read() == carried
        assert not [name for name in package.getnames() if "/src/" in name or "/tests/" in name]
        bundle = package.extractfile("package/dist/index.js")
        assert bundle
        assert bundle.read() == carried
    with tarfile.open(release.one("*.tar.gz")) as source:
        names = set(source.getnames())
        assert f"{PYTHON_PACKAGE}/LICENSE" in names
        assert not [name for name in names if "/tests/" in name or "/docs/" in name]
        assert {(one.uid, one.gid, one.uname) for one in source.getmembers()} == {(0, 0, "")}
    for path in release.here.iterdir():
        assert str(release.here.parent).encode() not in path.read_bytes(), path.name


def bill(release: Release, kind: str) -> tuple[dict[str, str], set[str]]:
    """Return the component that a bill of materials is of, and the names of what is in it."""
    read = json.loads(release.one(f"*-{kind}.cdx.json").read_text())
    about = read["metadata"]["component"]
    return about, {one["name"] for one in read["components"]}


@pytest.mark.parametrize("kind", ["python", "npm"])
def test_a_bill_of_materials_is_of_this_version(release: Release, kind: str) -> None:
    about, _ = bill(release, kind)
    assert (about["name"], about["version"]) == ("opencode-relay", __version__)


def test_the_wheels_bill_has_what_installing_it_brings(release: Release) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {re.split(r"[^\w-]", one)[0] for one in project["dependencies"]}
    _, named = bill(release, "python")
    assert direct <= named
    assert "anyio" in named  # which Starlette brings
    assert not {"pytest", "moto"} & named


def test_the_plugins_bill_has_what_is_in_the_bundle(release: Release) -> None:
    _, named = bill(release, "npm")
    assert "jose" in named
    assert not {"esbuild", "typescript"} & named


@pytest.mark.parametrize("file", ["*.whl", "*.tar.gz"])
def test_a_python_package_serves_in_an_empty_environment(
    release: Release, file: str, tmp_path: Path
) -> None:
    python = tmp_path / "venv/bin/python"
    uv = shutil.which("uv")
    for command in (
        f"{uv} venv --quiet --python {sys.executable} {tmp_path}/venv",
        f"{uv} pip install --quiet --python {python} {release.one(file)}",
    ):
        subprocess.run(command.split(), check=True, env={**os.environ, "PATH": "/no/node"})
    program = str(python.with_name("opencode-relay"))
    argv = [program, "serve", "--port", "0"]
    env = {"HOME": str(tmp_path), "PATH": "/no/node"}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env=env) as relay,
    ):
        try:
            assert relay.stdout
            url = next(line.split()[-1] for line in relay.stdout if line.startswith("Its URL"))
            assert httpx.get(f"{url}/healthz").status_code == 200
        finally:
            relay.terminate()
    subprocess.run([program, "connect"], check=True, env=env, stdout=subprocess.DEVNULL)
    plugins = tmp_path / ".config/opencode/plugins"
    assert (plugins / f"opencode-relay-{__version__}.js").stat().st_size > 50_000


def test_the_npm_package_loads_in_opencode(release: Release, tmp_path: Path) -> None:
    if not OPENCODE.exists():
        pytest.skip("needs opencode: npm ci --prefix tests/e2e")
    with opencode(tmp_path / "home", release.one("*.tgz"), {}) as served:
        wait_until(lambda: served.log_says(f"version {__version__}"), "the plugin in the log")
