"""`opencode-relay instances`: who may open logins here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from opencode_relay import program
from opencode_relay.errors import ConfigError
from opencode_relay.instances import Instance
from opencode_relay.secret import Secret

from .home import AsJSON, Data, Home, StackName, relay_of
from .shown import as_text, print_table
from .stack import Stack

app = typer.Typer(help="Enrol, change and revoke instances.", no_args_is_help=True)
ReturnURLs = Annotated[
    list[str] | None,
    typer.Option("--return-url", help="A page of the instance that takes signed redirects."),
]
_KEY_NOTE = "Keep the key now: it is shown only this once."


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What tells a person which instance this is.")],
    return_url: ReturnURLs = None,
    data: Data = None,
    stack: StackName = None,
    as_json: AsJSON = False,
) -> None:
    """Enrol an instance and show its key."""
    store = relay_of(data, stack).store
    instance, key = Instance.enrol(name, return_url or [], time.time())
    if not asyncio.run(store.add_instance(instance)):
        raise ConfigError(f"There is an instance named {name!r} already: take another name.")
    _show(instance, key, as_json)


@app.command()
def update(
    instance_id: Annotated[str, typer.Argument(metavar="ID")],
    return_url: ReturnURLs = None,
    drop_return_url: Annotated[
        list[str] | None, typer.Option("--drop-return-url", help="One that is no longer used.")
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Give a new key; the old one works for 24 hours.")
    ] = False,
    data: Data = None,
    stack: StackName = None,
    as_json: AsJSON = False,
) -> None:
    """Change an instance's return URLs, or give it a new key."""
    key: Secret | None = None

    def change(instance: Instance) -> Instance:
        nonlocal key
        changed = instance.with_return_urls(return_url or [], drop_return_url or [])
        if new_key:
            changed, key = changed.with_new_key(time.time())
        return changed

    _show(asyncio.run(_change(relay_of(data, stack), instance_id, change)), key, as_json)


@app.command("list")
def list_(data: Data = None, stack: StackName = None, as_json: AsJSON = False) -> None:
    """List the enrolled instances; keys are never shown again."""
    found = asyncio.run(relay_of(data, stack).store.list_instances())
    if as_json:
        print(json.dumps([_public(instance) for instance in found]))
        return
    rows = [[one.id, _day(one.created_at), one.name, one.return_urls] for one in found]
    print_table(["ID", "Enrolled (UTC)", "Name", "Return URLs"], rows)


@app.command()
def revoke(
    instance_id: Annotated[str, typer.Argument(metavar="ID")],
    data: Data = None,
    stack: StackName = None,
    as_json: AsJSON = False,
) -> None:
    """End an instance's enrolment, and its open logins."""
    relay = relay_of(data, stack)

    async def end() -> int:
        if not await relay.store.remove_instance(instance_id):
            raise _unknown(relay, instance_id)
        return await relay.store.cancel_all(time.time(), instance_id=instance_id)

    ended = asyncio.run(end())
    if as_json:
        print(json.dumps({"instance_id": instance_id, "ended_logins": ended}))
    else:
        print(f"Revoked {instance_id}: its key is refused from now on; open logins ended: {ended}.")


async def _change(
    relay: Home | Stack, instance_id: str, change: Callable[[Instance], Instance]
) -> Instance:
    while True:
        found = await relay.store.get_instance(instance_id)
        if found is None:
            raise _unknown(relay, instance_id)
        changed = change(found)
        if await relay.store.replace_instance(changed):
            return changed


def _unknown(relay: Home | Stack, instance_id: str) -> ConfigError:
    listing = program.command("instances", "list", *relay.named)
    return ConfigError(f"There is no instance {instance_id!r}: {listing} shows them.")


def _public(instance: Instance) -> dict[str, Any]:
    return {
        "instance_id": instance.id,
        "name": instance.name,
        "return_urls": list(instance.return_urls),
        "created_at": int(instance.created_at),
    }


def _show(instance: Instance, key: Secret | None, as_json: bool) -> None:
    shown = _public(instance) | ({"key": key.reveal()} if key else {})
    if as_json:
        print(json.dumps(shown))
        return
    for name, value in shown.items():
        if name != "created_at":
            text = " ".join(value) if isinstance(value, list) else value
            print(f"{name:12} {as_text(text)}")
    if key:
        print(_KEY_NOTE)


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(when))
