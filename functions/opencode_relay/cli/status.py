"""`opencode-relay status`: what of this machine's opencode is connected, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opencode_relay import __version__, program
from opencode_relay.errors import ConfigError

from . import gateways
from .doctor.checks import Check, Finding, NotTried, Wrong, carry_out
from .doctor.relay import Examination
from .doctor.told import Told
from .doctor.web import asking
from .entries import PLUGIN
from .folder import Folder
from .home import AsJSON
from .options import check, key_of, open_to_others

_NEEDED = 3
_CONNECTED = "connected"


def status(as_json: AsJSON = False) -> None:
    """Show what is connected, the plugin's version, and whether relay and key hold.

    Exit status: 0 all is well, 1 something is wrong, 3 not everything could be tried.
    """
    told = Told(as_json)
    told.run(_runs(told), _sum_up)


def _runs(told: Told) -> Iterator[Iterator[Finding]]:
    folder = Folder()
    if _has_nothing(folder):
        yield carry_out([Check(_CONNECTED, _nothing)], needed=1)
        return
    here = [
        Check("who is asked", lambda: _entry(folder)),
        Check("settings", lambda: _settings(folder)),
        Check("plugin", lambda: _plugin(folder)),
    ]
    yield carry_out(here, needed=_NEEDED, begins=told.begins)
    if told.well is False or folder.entry():
        return
    options = folder.options() or {}
    if "providers" in options:
        with asking() as web:
            of_gateways = gateways.checks(web, folder, options["providers"])
            yield carry_out(of_gateways, needed=1, begins=told.begins)
    if "relay" not in options:
        return
    key = key_of(options)
    public = options.get("publicUrl")
    with asking() as web:
        how = f"{program.command('connect', '--key-file', 'FILE')} sets one"
        of_relay = Examination(web, options["relay"], key.reveal() if key else None, how)
        checks = of_relay.first(None if public == "auto" else public)
        yield carry_out(checks, needed=len(checks), begins=told.begins)


def _has_nothing(folder: Folder) -> bool:
    try:
        return folder.options() is None and not folder.installed() and not folder.entry()
    except (ConfigError, OSError):
        return False  # the checks say what it is


def _nothing() -> str:
    raise NotTried("nothing")


def _sum_up(found: Sequence[Finding]) -> str | None:
    if [one.check for one in found] != [_CONNECTED]:
        return None
    paste, relay = program.command("connect"), program.command("connect", "RELAY_URL")
    return f"Nothing is connected: {relay} connects a relay, {paste} pasting alone, without one."


def _entry(folder: Folder) -> str:
    folder.refuse_others()
    entry = folder.entry()
    if entry is None:
        return f"the plugin in {folder.plugins}"
    if folder.installed():
        raise Wrong(
            f"{entry.file} has the plugin ({entry.name!r}), and that one wins over what "
            f"`connect` wrote: remove one of them, the latter with {program.command('disconnect')}."
        )
    raise NotTried(f"{entry.name!r} in {entry.file}: opencode's log says what it does")


def _settings(folder: Folder) -> str:
    options = folder.options()
    if options is None:
        if folder.entry():
            raise NotTried("the entry has its own")
        raise Wrong(f"{folder.settings} is not there: {program.command('connect')} writes it.")
    if (mode := folder.settings.stat().st_mode & 0o777) & 0o077:
        raise Wrong(
            f"Others may read {folder.settings} (mode {mode:04o}): {program.command('connect')} "
            "closes it."
        )
    check(options, folder.settings)
    key_of(options)
    if opened := open_to_others(options):
        raise Wrong(opened)
    set_ = ", ".join(name for name in options if name != "relay")
    return f"{options.get('relay', 'no relay')}; {set_ or 'nothing else'}"


def _plugin(folder: Folder) -> str:
    found = folder.installed()
    if not found and folder.entry():
        raise NotTried("the entry's")
    if len(found) != 1:
        raise Wrong(f"There are {len(found)} of it: {program.command('connect')} mends that.")
    match = PLUGIN.fullmatch(found[0].name)
    version = match[1] if match else ""
    if version != __version__:
        raise Wrong(
            f"It is {version}, and this program brings {__version__}: {program.command('connect')} "
            "puts that there."
        )
    return f"version {version}"
