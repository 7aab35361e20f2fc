"""`opencode-relay serve`: the relay on one machine."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opencode_relay import __version__, addresses, program, settings
from opencode_relay.errors import ConfigError, Refused
from opencode_relay.events import Events, log_to_stderr
from opencode_relay.instances import Instance, instance_id_of
from opencode_relay.keys.held import Keys
from opencode_relay.machine.chores import Chores
from opencode_relay.machine.housekeeping import Housekeeping
from opencode_relay.machine.listener import address, listening
from opencode_relay.machine.server import run
from opencode_relay.relay import Relay
from opencode_relay.secret import Secret
from opencode_relay.settings import Settings

from .home import Data, Home, StackName, shared_of
from .stack import Stack

if TYPE_CHECKING:
    from opencode_relay.machine.shared import FetchedKeys

EPILOG = "Environment (a flag wins):\n\n" + settings.settings_help()


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on, or unix:/path for a Unix socket.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8787,
    data: Data = None,
    stack: StackName = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="The relay's own origin, as browsers and instances reach it."),
    ] = None,
    enrolment: Annotated[
        str | None, typer.Option(help="closed, or open: anybody may open a login.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the first instance; else this host's name.")
    ] = None,
    return_url: Annotated[
        str | None, typer.Option(help="Where the first instance takes signed redirects.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the first instance's key goes; else into --data."),
    ] = None,
) -> None:
    """Run the relay on this machine."""
    store = "dynamodb" if stack else None
    config = Settings.load(
        os.environ, data=data, store=store, public_url=public_url, enrolment=enrolment
    )
    if config.store == "dynamodb":
        _refuse_first({"--name": name, "--return-url": return_url, "--key-file": key_file})
    log_to_stderr(config.log_level)
    for unknown in settings.unknown(os.environ):
        logging.getLogger("opencode_relay").warning(
            "setting_unknown", extra={"fields": {"name": unknown}}
        )
    # Read before it listens: nobody is to be sent to a process that could not serve.
    others = shared_of(data, stack, config)
    keys = _read(others) if others else None
    with listening(host, port) as listener:
        if not config.public_url:
            config = replace(config, public_url=_loopback_url(listener, host))
        events = Events()
        home = None
        if others and keys:
            relay, chores = _beside(others, keys, config, events)
        else:
            home = Home(config.data, make=True)
            relay, chores = _alone(home, config, events)
            _enrol_first(home, key_file or home.first_key, name, return_url)
        stop_metrics = _serve_metrics(relay, events, config.metrics_port)
        print(f"opencode-relay {__version__} listens on {address(listener)}", flush=True)
        print(f"Its URL is {config.public_url}", flush=True)
        if home and not key_file:
            _say_next(home, config.public_url)
        try:
            run(relay, chores, listener)
        finally:
            stop_metrics()
            if home:
                home.store.close()


def _alone(home: Home, config: Settings, events: Events) -> tuple[Relay, Chores]:
    for path, mode in home.repaired.items():
        logging.getLogger("opencode_relay").warning(
            "mode_repaired", extra={"fields": {"file": str(path), "mode": mode}}
        )
    keys = Keys(home.keys.load)
    keys.refresh()
    home.remember_url(config.public_url)
    relay = Relay(config, home.store, keys, events=events)
    return relay, Housekeeping(relay, home.store, home.keys)


def _read(others: Stack) -> FetchedKeys:
    """Read both tables and the keys. Raises StoreUnavailable."""
    # Who serves alone need not have what it takes.
    from opencode_relay.machine.shared import FetchedKeys  # noqa: PLC0415

    async def read_both_tables() -> None:
        await others.store.check()
        await others.store.get_instance("-")

    keys = FetchedKeys(others.keys.load)
    keys.refresh()
    asyncio.run(read_both_tables())
    return keys


def _beside(
    others: Stack, keys: FetchedKeys, config: Settings, events: Events
) -> tuple[Relay, Chores]:
    from opencode_relay.machine.shared import SharedHousekeeping  # noqa: PLC0415

    relay = Relay(config, others.store, keys, events=events)
    return relay, SharedHousekeeping(relay, others.looks(), keys)


def _refuse_first(given: dict[str, object]) -> None:
    """Processes that share tables enrol no first instance: each of them would."""
    if names := [flag for flag, value in given.items() if value is not None]:
        add = program.command("instances", "add", "NAME")
        raise ConfigError(
            f"{', '.join(names)}: not for a relay on AWS, where {add} enrols the first one too."
        )


def _loopback_url(listener: socket.socket, host: str) -> str:
    if not addresses.is_loopback(host):
        raise ConfigError(
            f"On {host} others reach this relay: name the https origin at which they do with "
            "--public-url."
        )
    return address(listener)


def _serve_metrics(relay: Relay, events: Events, port: int) -> Callable[[], None]:
    if not port:
        return lambda: None
    # Nobody else need wait for it at every start.
    from opencode_relay.machine.metrics import PrometheusMetrics  # noqa: PLC0415

    metrics = PrometheusMetrics(lambda: len(relay.bells))
    events.metrics = metrics
    try:
        return metrics.serve(port)
    except OSError as wrong:
        raise ConfigError(
            f"Cannot serve metrics on port {port}: {wrong.strerror}. RELAY_METRICS_PORT takes "
            "another one."
        ) from None


def _enrol_first(home: Home, path: Path, name: str | None, return_url: str | None) -> None:
    """On the first start, enrol an instance and keep its key where its opencode can read it."""
    if path.exists() or asyncio.run(home.store.list_instances()):
        return
    urls = [addresses.return_url(return_url)] if return_url else []
    try:
        instance, key = Instance.enrol(name or socket.gethostname(), urls, time.time())
    except ConfigError as wrong:
        raise ConfigError(f"{wrong} Give the first instance a name with --name.") from None
    # Written before it is enrolled: a key that nobody could keep would be of no use.
    try:
        _write_private(path, key.reveal() + "\n")
    except FileExistsError:
        return
    if not asyncio.run(home.store.add_instance(instance)):
        path.unlink()
        return
    print(f"Enrolled the first instance, “{instance.name}”; its key is in {path}")
    if not name:
        rename = program.command("instances", "rename", instance.name, "NAME", *home.named)
        print(f"The relay's pages call it so, by this machine's name: {rename} changes that.")


def _say_next(home: Home, public_url: str) -> None:
    """Say how the first instance is connected, until it is."""
    try:
        its = instance_id_of(Secret(home.first_key.read_text("utf-8").strip()))
        instance = asyncio.run(home.store.get_instance(its))
    except (OSError, ValueError, Refused):
        return
    if instance and instance.last_used_at is None:
        connect = program.command("connect", public_url, "--key-file", home.first_key)
        print(f"Next, in another terminal, connect this machine's opencode: {connect}", flush=True)


def _write_private(path: Path, text: str) -> None:
    """Raises FileExistsError where another process was quicker: its key must not be lost."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        path.unlink()
        raise
