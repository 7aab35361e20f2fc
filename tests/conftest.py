"""A strict run (RELAY_TESTS_STRICT=1, as CI does) fails on any skip and on missing e2e tests.

RELAY_TESTS_STRICT=skips is for a run that leaves the end-to-end tests out.
"""

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


HERE = Path(__file__).parent


class Strict:
    """Counts what really ran: a suite that skipped its hardest tests must not look green."""

    def __init__(self, *, whole: bool) -> None:
        self.skipped: list[str] = []
        self.ran: set[str] = set()
        self.expected = int((HERE / "e2e" / "EXPECTED").read_text()) if whole else 0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)
        elif report.when == "call" and (report.fspath.startswith(f"{self.e2e}/")):
            self.ran.add(report.nodeid)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.e2e = (HERE / "e2e").relative_to(session.config.rootpath).as_posix()

    def faults(self) -> list[str]:
        faults = [f"skipped: {nodeid}" for nodeid in self.skipped]
        if len(self.ran) < self.expected:
            faults.append(f"only {len(self.ran)} of {self.expected} end-to-end tests ran")
        return faults

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self.faults():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for fault in self.faults():
            terminalreporter.write_line(f"strict run: {fault}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    strict = os.environ.get("RELAY_TESTS_STRICT")
    if strict in {"1", "skips"}:
        config.pluginmanager.register(Strict(whole=strict == "1"), "strict")
