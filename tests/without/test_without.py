"""Each threat class fails when what protects against its threat is taken out."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.without.removals import HARMLESS, TABLE, Edit, removals

THREATS = Path(__file__).parents[1] / "threats"
ROOT = THREATS.parents[1]
AT_ONCE = os.cpu_count() or 1

Caught = dict[str, dict[str, str | bool]]


def start(names: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.without.children", *names]
    # A strict run is the parent's; for the children a failure is the success.
    env = {key: value for key, value in os.environ.items() if key != "RELAY_TESTS_STRICT"}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def children(request: pytest.FixtureRequest) -> Caught:
    """Run the children of all tests that will ask for one, some at a time."""
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and "children" in item.fixturenames
    ]
    batches = [start(wanted[n::AT_ONCE]) for n in range(AT_ONCE)]
    lines = [line for batch in batches for line in batch.communicate()[0].splitlines()]
    return {found["name"]: found for found in map(json.loads, lines)}


@pytest.mark.parametrize("name", removals())
def test_the_class_fails_without_it(children: Caught, name: str) -> None:
    child = children[name]
    assert child["caught"], f"it still passes, or breaks elsewhere: {child['output']}"


@pytest.mark.parametrize("name", [HARMLESS])
def test_the_class_passes_with_everything_in_place(children: Caught, name: str) -> None:
    child = children[name]
    assert not child["caught"]
    assert " passed in " in str(child["output"])


def classes() -> set[str]:
    return {
        f"{file.name}::{node.name}"
        for file in THREATS.glob("test_*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    }


def test_every_class_has_a_removal() -> None:
    assert classes() == set(TABLE)
    assert all(edits for edits in removals().values())


@pytest.mark.parametrize(
    "edit",
    dict.fromkeys(edit for edits in removals().values() for edit in edits),
    ids=lambda edit: edit.old[:40],
)
def test_every_edit_fits_and_compiles(edit: Edit) -> None:
    spec = find_spec(edit.module)
    assert spec
    assert spec.origin
    source = Path(spec.origin).read_text("utf-8")
    compile(edit.apply(source), edit.module, "exec")
