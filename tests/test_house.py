"""The house: data goes down through the rooms, no import runs up, no two files need each other."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "functions" / "opencode_relay"
BENCHMARKS = PACKAGE.parents[1] / "benchmarks"
LONGEST = 300  # lines of a file
MEDIAN = 100
# From the ground up; rooms of one floor do not know each other.
FLOORS = (
    {"errors", "secret", "login", "names", "addresses", "events", "doorbells", "pace", "program"},
    {"files", "outgoing", "bundle", "amazon"},
    {"keys", "stores", "instances", "settings"},
    {"response", "admission", "lookup", "outcomes"},
    {"relay", "client"},
    {"web"},
    {"machine", "aws"},
    {"cli"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def module_of(path: Path, package: Path = PACKAGE) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module: str, modules: dict[str, Path]) -> Iterator[str]:
    """Name the modules of ours that a file imports, also inside functions and for types."""
    path = modules[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in modules)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = ".".join([*(base if node.level else []), *([node.module or ""])]).strip(".")
            inside = [f"{source}.{one.name}" for one in node.names]
            yield from (name for name in inside if name in modules)
            if source in modules and not all(name in modules for name in inside):
                yield source


IMPORTS = {module: set(imported(module, MODULES)) for module in MODULES}


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m)])
def test_no_import_runs_up_or_across(module: str) -> None:
    room = room_of(module)
    for other in IMPORTS[module] - {"opencode_relay"}:
        same_room = room_of(other) == room
        same_ground = FLOOR_OF[room_of(other)] == FLOOR_OF[room] and FLOOR_OF[room] <= 2
        assert same_room or same_ground or FLOOR_OF[room_of(other)] < FLOOR_OF[room], other


def test_no_files_need_each_other() -> None:
    bench = {module_of(path, BENCHMARKS): path for path in BENCHMARKS.rglob("*.py")}
    left = {module: set(imported(module, bench)) for module in bench} | {
        module: set(others) for module, others in IMPORTS.items()
    }
    while free := {module for module, others in left.items() if not others & left.keys()}:
        for module in free:
            del left[module]
    assert not left


def test_a_login_is_rules_alone() -> None:
    assert not IMPORTS["opencode_relay.login"]


def test_files_can_be_read_at_a_sitting() -> None:
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > LONGEST} == {}
    assert statistics.median(lines.values()) < MEDIAN
