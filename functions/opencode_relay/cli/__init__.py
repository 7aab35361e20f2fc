"""The command line: `opencode-relay COMMAND`, each in the module of its name."""

from __future__ import annotations

import codecs
import io
import json
import sys
from importlib import import_module

import typer

from opencode_relay import __version__
from opencode_relay.errors import RelayError

from .shown import as_text

COMMANDS = (
    *("serve", "connect", "status", "disconnect"),
    *("demo", "doctor", "healthy", "catch", "instances", "keys"),
)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    del version


def command_line(*commands: str) -> typer.Typer:
    """Put commands together, each from the module of its name; the others are not imported."""
    app = typer.Typer(
        help="Carries an OAuth authorization code to an instance that cannot receive the redirect.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name in commands:
        module = import_module(f"{__name__}.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(epilog=getattr(module, "EPILOG", None))(getattr(module, name))
    return app


def _escape(wrong: UnicodeError) -> tuple[str, int]:
    r"""Write what a terminal's encoding lacks as `\uXXXX`, which in JSON means the same."""
    if not isinstance(wrong, UnicodeEncodeError):
        raise wrong
    return json.dumps(wrong.object[wrong.start : wrong.end])[1:-1], wrong.end


def _say_everything() -> None:
    """A terminal without UTF-8 lacks “ and ✓, and what is not UTF-8 itself can be in any name."""
    codecs.register_error("opencode_relay.escape", _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="opencode_relay.escape")


def main() -> None:
    """Run a command. What the operator has to mend is one sentence and exit status 1."""
    _say_everything()
    asked = [name for name in COMMANDS if name in sys.argv[1:2]]
    try:
        command_line(*(asked or COMMANDS))()
    except (RelayError, OSError) as wrong:
        print(f"opencode-relay: {as_text(wrong)}", file=sys.stderr)
        sys.exit(1)
