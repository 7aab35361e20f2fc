"""`opencode-relay doctor`: looks at a relay, an opencode or an MCP server, as their clients do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.console import Console

from opencode_relay.cli.home import AsJSON
from opencode_relay.cli.shown import as_text
from opencode_relay.errors import ConfigError

from . import instance as opencode
from . import relay as relays
from .checks import Check, Finding, carry_out
from .instance import HELD, InstanceExamination
from .mcp import McpExamination
from .relay import Examination
from .web import asking

WRONG, NOT_ALL, INTERRUPTED = 1, 3, 130  # exit status; 2 is a wrong command line's
_LONGEST = 600  # characters of what was seen
_MARKS = {True: "✓", False: "✗", None: "-"}
_SUMS = {
    True: "All is well.",
    False: "Something has to be mended: see the ✗ above.",
    None: "What was tried is well; not everything could be tried: see the - above.",
}


def doctor(
    url: Annotated[str | None, typer.Argument(help="The relay's URL.")] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="OPENCODE_RELAY_KEY", help="An instance key, to try a whole login."),
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(help=f"An opencode's public URL: check its proxy; takes {HELD} seconds."),
    ] = None,
    mcp: Annotated[
        str | None,
        typer.Option(
            help="An MCP server's URL: check that people can sign in to it through the relay, "
            "which is then not checked itself."
        ),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Check a running relay with one whole login of a made-up code, or what is around it.

    Exit status: 0 all is well, 1 something is wrong, 3 not everything could be tried.
    """
    if url is None and instance is None and mcp is None:
        raise ConfigError(
            "Name a relay's URL, an opencode's with --instance, or an MCP server's with --mcp."
        )
    told = _Told(as_json)
    with asking() as web:
        examined = InstanceExamination(web, instance) if instance is not None else None
        of_mcp = McpExamination(web, mcp, url) if mcp is not None else None
        runs: list[Iterator[Finding]] = []
        if url is not None and of_mcp is None:
            of_relay = Examination(web, url, key).checks(instance)
            runs.append(carry_out(of_relay, needed=relays.NEEDED, begins=told.begins))
        if examined is not None:
            of_instance = examined.checks()
            runs.append(carry_out(of_instance, needed=opencode.NEEDED, begins=told.begins))
        if of_mcp is not None:
            checks = of_mcp.checks()
            runs.append(carry_out(checks, needed=of_mcp.needed, begins=told.begins))
        try:
            for run in runs:
                told.all_of(run)
        except KeyboardInterrupt:
            told.end(interrupted=True)
            sys.exit(INTERRUPTED)
    told.end()
    sys.exit({True: 0, False: WRONG, None: NOT_ALL}[told.well])


class _Told:
    """Rows, each as it is found; with JSON all of them at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._findings: list[Finding] = []
        self._progress = Console(stderr=True).status("")

    @property
    def well(self) -> bool | None:
        found = {finding.ok for finding in self._findings}
        return False if False in found else None if None in found else True

    def begins(self, check: Check) -> None:
        """Say on a terminal what is being looked at."""
        takes = f", which takes {check.slow:.0f} seconds" if check.slow else ""
        self._progress.update(f"{check.name}{takes} …")
        self._progress.start()

    def all_of(self, run: Iterable[Finding]) -> None:
        try:
            for finding in run:
                self._progress.stop()
                self._findings.append(finding)
                if not self._as_json:
                    mark, seen = _MARKS[finding.ok], as_text(finding.seen[:_LONGEST])
                    print(f"{mark} {finding.check:32} {seen}", flush=True)
        finally:
            self._progress.stop()

    def end(self, *, interrupted: bool = False) -> None:
        well = False if self.well is False else None if interrupted else self.well
        if self._as_json:
            rows = [
                {"check": f.check, "ok": f.ok, "seen": f.seen[:_LONGEST]} for f in self._findings
            ]
            print(json.dumps({"ok": well, "checks": rows}))
        else:
            print(
                "Interrupted: the checks that are not above were not made."
                if interrupted
                else _SUMS[well]
            )
