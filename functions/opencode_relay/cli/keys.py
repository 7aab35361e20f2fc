"""`opencode-relay keys`: the relay's own keys."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from time import sleep
from typing import Annotated, Any

import typer

from opencode_relay.admission import end_all
from opencode_relay.errors import ConfigError, StoreUnavailable
from opencode_relay.keys.ring import Ring

from .home import AsJSON, Data, Home, StackName, relay_of
from .shown import print_table
from .stack import Stack

app = typer.Typer(help="List and rotate the relay's own keys.", no_args_is_help=True)


@app.command("list")
def list_(data: Data = None, stack: StackName = None, as_json: AsJSON = False) -> None:
    """List the keys, never their material."""
    _show(relay_of(data, stack).keys.load(), as_json)


@app.command()
def rotate(
    now: Annotated[
        bool,
        typer.Option("--now", help="For a leaked key: drop all keys at once, ending open logins."),
    ] = False,
    due: Annotated[
        bool,
        typer.Option("--due", help="Only where they are 90 days old; make those that are missing."),
    ] = False,
    data: Data = None,
    stack: StackName = None,
    as_json: AsJSON = False,
) -> None:
    """Make new keys; they are used in 15 minutes, when everybody knows them."""
    if now and due:
        raise ConfigError("--now and --due contradict each other: give one of them.")
    home = relay_of(data, stack)
    if due:
        home.keys.rotate_if_due()
        _show(home.keys.load(), as_json)
        return
    if not now:
        _show(home.keys.rotate(), as_json)
        return
    ring = home.keys.replace_all()
    ended = _end_logins(home)
    if home.old_keys_live:
        minutes = -(-home.old_keys_live // 60)
        print(
            f"All keys were replaced, and open logins ended: {ended}. Others may use the old keys "
            f"for up to {minutes} minutes more: then logins are ended again. Leave this running.",
            file=sys.stderr,
        )
        sleep(home.old_keys_live)
        ended += _end_logins(home)
    if as_json:
        _show(ring, as_json, ended=ended)
        return
    print(f"All keys were replaced. Open logins ended: {ended}; their people start again.")
    print("Sealed responses not opened yet no longer verify. Instance keys are as they were.")


def _end_logins(home: Home | Stack) -> int:
    try:
        return asyncio.run(end_all(home.store, time.time()))
    except StoreUnavailable as wrong:
        raise StoreUnavailable(
            f"{wrong} All keys were replaced, but not all open logins ended: run it again."
        ) from None


def _show(ring: Ring, as_json: bool, **more: int) -> None:
    now = time.time()
    rows: list[dict[str, Any]] = [
        {"purpose": k.purpose, "kid": k.kid, "used_from": int(k.used_from), "standing": s}
        for k in ring.keys
        for s in [ring.standing(k, now)]
    ]
    if as_json:
        print(json.dumps({"keys": rows, **({"ended_logins": more["ended"]} if more else {})}))
        return
    cells = [
        [
            row["purpose"],
            row["kid"],
            time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["used_from"])),
            row["standing"],
        ]
        for row in rows
    ]
    print_table(["Purpose", "Key id", "Used from (UTC)", "Standing"], cells)
