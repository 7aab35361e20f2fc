"""The command line: `opencode-relay serve | demo | doctor | catch | instances | keys`."""

from __future__ import annotations

import sys

import typer

from opencode_relay import __version__
from opencode_relay.cli import catch, demo, doctor, instances, keys, serve
from opencode_relay.errors import RelayError

app = typer.Typer(
    help="Carries an OAuth authorization code to an instance that cannot receive the redirect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command(epilog=serve.EPILOG)(serve.serve)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(catch.catch)
app.add_typer(instances.app, name="instances")
app.add_typer(keys.app, name="keys")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    del version


def main() -> None:
    """Run a command. What the operator has to mend is one sentence and exit status 1."""
    try:
        app()
    except (RelayError, OSError) as wrong:
        print(f"opencode-relay: {wrong}", file=sys.stderr)
        sys.exit(1)
