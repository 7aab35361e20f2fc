"""A pytest plugin that takes one protection out of the relay while it is imported.

`python -m pytest -p tests.without.plugin --without NAME …` ends with status CAUGHT when a test
failed by an assertion, as it should; an error elsewhere is no proof that anything was missed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

import pytest

from tests.without.removals import CAUGHT, Edit, edits_of


class EditedLoader(SourceFileLoader):
    """Compiles a module from its edited source, past any cached bytecode."""

    edits: list[Edit]

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        source = self.get_data(self.path).decode()
        for edit in self.edits:
            source = edit.apply(source)
        return compile(source, self.path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    def __init__(self, edits: Sequence[Edit]) -> None:
        self.edits = edits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        edits = [edit for edit in self.edits if edit.module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if edits else None
        if spec and spec.origin:
            spec.loader = EditedLoader(fullname, spec.origin)
            spec.loader.edits = edits
        return spec


class Watch:
    """Stops at the first test that fails by an assertion."""

    caught = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None]:
        report = yield
        failed = (AssertionError, pytest.fail.Exception)
        if call.when == "call" and call.excinfo and isinstance(call.excinfo.value, failed):
            self.caught = True
            item.session.shouldstop = "the missing protection was noticed"
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.caught:
            session.exitstatus = CAUGHT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", help="the protection to take out: CLASS: WHAT IS MISSING")


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before any conftest can import the relay."""
    edits = edits_of(early_config.known_args_namespace.without)
    loaded = [edit.module for edit in edits if edit.module in sys.modules]
    assert not loaded, f"imported before it could be edited: {loaded}"
    sys.meta_path.insert(0, Finder(edits))
    early_config.pluginmanager.register(Watch())
