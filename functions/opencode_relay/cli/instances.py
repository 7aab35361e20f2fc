"""`opencode-relay instances`: who may open logins here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from opencode_relay import addresses, program
from opencode_relay.errors import ConfigError, NameTaken
from opencode_relay.instances import Instance, name_key
from opencode_relay.secret import Secret

from .home import AsJSON, Data, Home, StackName, relay_of
from .shown import as_text, print_table
from .stack import Stack

app = typer.Typer(help="Enrol, change and revoke instances.", no_args_is_help=True)
NameOrID = Annotated[
    str, typer.Argument(metavar="NAME_OR_ID", help="Its name or its ID; case does not count.")
]
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
    relay = relay_of(data, stack)
    store = relay.store
    instance, key = Instance.enrol(name, return_url or [], time.time())

    async def enrol() -> bool:
        _refuse_id(await store.list_instances(), name)
        return await store.add_instance(instance)

    if not asyncio.run(enrol()):
        raise NameTaken(name)
    _show(instance, key, as_json)
    if not as_json:
        print(_next(relay.url))


@app.command()
def update(
    name_or_id: NameOrID,
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

    _show(asyncio.run(_change(relay_of(data, stack), name_or_id, change)), key, as_json)


@app.command()
def rename(
    name_or_id: NameOrID,
    new: Annotated[str, typer.Argument(help="What it is called from now on.")],
    data: Data = None,
    stack: StackName = None,
    as_json: AsJSON = False,
) -> None:
    """Give an instance another name; its key, its URLs and its logins stay."""
    relay = relay_of(data, stack)

    async def give() -> Instance:
        _refuse_id(await relay.store.list_instances(), new)
        return await _change(relay, name_or_id, lambda instance: instance.with_name(new))

    _show(asyncio.run(give()), None, as_json)


@app.command("list")
def list_(data: Data = None, stack: StackName = None, as_json: AsJSON = False) -> None:
    """List the enrolled instances; keys are never shown again."""
    found = asyncio.run(relay_of(data, stack).store.list_instances())
    if as_json:
        print(json.dumps([_public(instance) for instance in found]))
        return
    rows = [
        [one.id, _day(one.created_at), _day(one.last_used_at), one.name, one.return_urls]
        for one in found
    ]
    print_table(
        ["ID", "Enrolled (UTC)", "Last used (UTC, to an hour)", "Name", "Return URLs"], rows
    )


@app.command()
def revoke(
    name_or_id: NameOrID,
    data: Data = None,
    stack: StackName = None,
    as_json: AsJSON = False,
) -> None:
    """End an instance's enrolment, and its open logins."""
    relay = relay_of(data, stack)

    async def end() -> tuple[Instance, int]:
        found = await _one_of(relay, name_or_id)
        if not await relay.store.remove_instance(found.id):
            raise _unknown(relay, name_or_id)
        return found, len(await relay.store.cancel_all(time.time(), instance_id=found.id))

    found, ended = asyncio.run(end())
    if as_json:
        print(json.dumps({"instance_id": found.id, "ended_logins": ended}))
        return
    who = f"{found.id} ({as_text(found.name)})"
    print(f"Revoked {who}: its key is refused from now on; open logins ended: {ended}.")


async def _change(
    relay: Home | Stack, name_or_id: str, change: Callable[[Instance], Instance]
) -> Instance:
    found: Instance | None = await _one_of(relay, name_or_id)
    while found:
        changed = change(found)
        if await relay.store.replace_instance(changed):
            return changed
        found = await relay.store.get_instance(found.id)  # whatever its name is by now
    raise _unknown(relay, name_or_id)


async def _one_of(relay: Home | Stack, name_or_id: str) -> Instance:
    """Find the one that is meant. Raises ConfigError where it is none, or might be another."""
    meant = name_key(name_or_id)
    enrolled = await relay.store.list_instances()
    found = [one for one in enrolled if meant in (one.id, one.name_key)]
    if not found:
        raise _unknown(relay, name_or_id)
    if len(found) > 1:
        these = " or ".join(f"{one.id} (named {one.name!r})" for one in found)
        raise ConfigError(
            f"{name_or_id!r} may mean {these}: give the ID or the name that only one of them has."
        )
    return found[0]


def _refuse_id(enrolled: Sequence[Instance], name: str) -> None:
    if any(one.id == name_key(name) for one in enrolled):
        raise ConfigError(f"{name!r} is the ID of an instance: take another name.")


def _unknown(relay: Home | Stack, name_or_id: str) -> ConfigError:
    listing = program.command("instances", "list", *relay.named)
    return ConfigError(f"There is no instance {name_or_id!r}: {listing} shows them.")


def _public(instance: Instance) -> dict[str, Any]:
    return {
        "instance_id": instance.id,
        "name": instance.name,
        "return_urls": list(instance.return_urls),
        "created_at": int(instance.created_at),
        "last_used_at": None if instance.last_used_at is None else int(instance.last_used_at),
    }


def _show(instance: Instance, key: Secret | None, as_json: bool) -> None:
    shown = _public(instance) | ({"key": key.reveal()} if key else {})
    if as_json:
        print(json.dumps(shown))
        return
    for name, value in shown.items():
        if name not in ("created_at", "last_used_at"):
            text = " ".join(value) if isinstance(value, list) else value
            print(f"{name:12} {as_text(text)}")
    if key:
        print(_KEY_NOTE)


def _next(url: str | None) -> str:
    if url and addresses.is_loopback(urlsplit(url).hostname or ""):
        return (
            f"This relay has no public URL: `opencode-relay connect {url}` asks for it on this "
            "machine, and no other reaches the relay."
        )
    return f"On its machine `opencode-relay connect {url or 'RELAY_URL'}` asks for it."


def _day(when: float | None) -> str:
    return "never" if when is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(when))
