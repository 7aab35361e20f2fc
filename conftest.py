"""What tests need beside the relay is fetched by the first run of them: a server goes without."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

GROUP = "dev"
FETCHED = "OPENCODE_RELAY_TESTS_FETCHED"


def missing() -> Iterator[str]:
    """Name what the group asks for and this environment lacks."""
    project = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text("utf-8"))
    for one in project["dependency-groups"][GROUP]:
        if not isinstance(one, str):
            continue
        need = Requirement(one)
        if need.marker is None or need.marker.evaluate():
            try:
                if metadata.version(need.name) not in need.specifier:
                    yield need.name
            except metadata.PackageNotFoundError:
                yield need.name


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Begin anew with the group: `uv run pytest` is all that one has to know."""
    lacking = ", ".join(missing())
    if not lacking:
        return
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None or FETCHED in os.environ:
        raise pytest.UsageError(
            f"Tests need {lacking}, or another version of it: `uv run --group {GROUP} pytest`."
        )
    if capturing := pluginmanager.getplugin("capturemanager"):
        capturing.suspend_global_capture(in_=True)  # or the other pytest would write into a file
    print(f"Fetching what tests need: {lacking}", file=sys.stderr)
    os.environ[FETCHED] = "1"
    os.execv(uv, [uv, "run", "--group", GROUP, "pytest", *sys.argv[1:]])
