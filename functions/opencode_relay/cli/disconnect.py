"""`opencode-relay disconnect`: undoes what `connect` did, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress

from opencode_relay import program
from opencode_relay.errors import ConfigError
from opencode_relay.instances import instance_id_of

from .folder import Folder, Options
from .options import key_of
from .shown import as_text

_TOLD_APART = ("relay", "key", "keyFile", "providers")


def disconnect() -> None:
    """Remove the plugin and its settings from this machine's opencode."""
    folder = Folder()
    still = _entry(folder)  # before anything is removed: what goes wrong must not hide the rest
    options: Options = {}
    instance = None
    with suppress(ConfigError):
        options = folder.options() or {}
        if key := key_of(options):
            instance = instance_id_of(key)
    done = folder.remove()
    print("\n".join(map(as_text, done or ["Nothing was connected."])))
    if still:
        print(as_text(still))
    if done:
        print("Restart opencode. Who is signed in stays so.")
        _say_what_goes(options)
    if instance:
        named = f"{program.name()} instances"
        revoke = f"`{named} revoke {instance}`"
        print(f"The relay knows the key still: its operator ends that with {revoke}.")
        if options.get("key"):
            print(
                "The key stood there alone, unless it was kept elsewhere: "
                f"`{named} update {instance} --new-key` gives another."
            )


def _entry(folder: Folder) -> str | None:
    try:
        entry = folder.entry()
    except (ConfigError, OSError) as wrong:
        return f"Whether an entry names the plugin is not known. {wrong}"
    return f"{entry.file} still has the plugin: {entry.name!r}." if entry else None


def _say_what_goes(options: Options) -> None:
    if gateways := options.get("providers"):
        again = program.command("connect", "--providers", "FILE")
        print(f"Gone with it is its list of gateways, which {again} takes from a file:")
        print(as_text(json.dumps(gateways, ensure_ascii=False)))
    if others := {name: one for name, one in options.items() if name not in _TOLD_APART}:
        print(as_text(f"Gone with it are the settings {json.dumps(others, ensure_ascii=False)}"))
