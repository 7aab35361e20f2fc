"""`opencode-relay doctor`: looks at a relay, an opencode or an MCP server, as their clients do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from opencode_relay.cli.folder import Folder
from opencode_relay.cli.given import given_key
from opencode_relay.cli.home import AsJSON
from opencode_relay.cli.options import key_of, open_to_others
from opencode_relay.cli.shown import as_text
from opencode_relay.errors import ConfigError

from . import instance as opencode
from . import relay as relays
from .checks import Check, Finding, NotTried, carry_out
from .instance import HELD, InstanceExamination
from .mcp import McpExamination
from .relay import Examination
from .told import Told
from .web import asking


def doctor(
    url: Annotated[str | None, typer.Argument(help="The relay's URL.")] = None,
    key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A file with an instance key, to try a whole login; - asks for it. Else it is "
            "OPENCODE_RELAY_KEY or OPENCODE_RELAY_KEY_FILE.",
        ),
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(help=f"An opencode's public URL: check its proxy; takes {HELD} seconds."),
    ] = None,
    mcp: Annotated[
        str | None,
        typer.Option(
            help="An MCP server's URL: check that people can sign in to it through the relay, the "
            "one connected here unless it is named; it is not checked itself."
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
    told = Told(as_json)
    with asking() as web:
        examined = InstanceExamination(web, instance) if instance is not None else None
        runs: list[Iterator[Finding]] = []
        of_mcp = None
        if mcp is not None:
            connected = {"relay": url} if url else Folder().options()
            of_mcp = McpExamination(web, mcp, (connected or {}).get("relay"))
            if connected is None:
                runs.append(carry_out([Check("the relay", _not_named)], needed=1))
        if url is not None and of_mcp is None:
            named = given_key(key_file)
            held = key_of(named)
            if opened := open_to_others(named):
                print(as_text(opened), file=sys.stderr)
            of_relay = Examination(web, url, held.reveal() if held else None).checks(instance)
            runs.append(carry_out(of_relay, needed=relays.NEEDED, begins=told.begins))
        if examined is not None:
            of_instance = examined.checks()
            runs.append(carry_out(of_instance, needed=opencode.NEEDED, begins=told.begins))
        if of_mcp is not None:
            checks = of_mcp.checks()
            runs.append(carry_out(checks, needed=of_mcp.needed, begins=told.begins))
        told.run(runs, of_mcp.sum_up if of_mcp else None)


def _not_named() -> str:
    raise NotTried("not tried: name its URL, for nothing is connected here")
