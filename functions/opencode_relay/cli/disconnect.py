"""`opencode-relay disconnect`: undoes what `connect` did, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress

from opencode_relay import program
from opencode_relay.errors import ConfigError, Refused
from opencode_relay.instances import instance_id_of

from .folder import Folder
from .options import key_of
from .shown import as_text


def disconnect() -> None:
    """Remove the plugin and its settings from this machine's opencode."""
    folder = Folder()
    instance = gateways = None
    with suppress(ConfigError, Refused):
        options = folder.options() or {}
        gateways = options.get("providers")
        if key := key_of(options):
            instance = instance_id_of(key)
    done = folder.remove()
    print("\n".join(map(as_text, done or ["Nothing was connected."])))
    if entry := folder.entry():
        print(as_text(f"{entry.file} still names the plugin: {entry.name!r}."))
    if done:
        print("Restart opencode. Who is signed in stays so.")
    if done and gateways:
        again = program.command("connect", "--providers", "FILE")
        print(f"Gone with it is its list of gateways, which {again} takes from a file:")
        print(as_text(json.dumps(gateways, ensure_ascii=False)))
    if instance:
        revoke = f"`{program.name()} instances revoke {instance}`"
        print(f"The relay knows the key still: its operator ends that with {revoke}.")
