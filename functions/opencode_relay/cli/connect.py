"""`opencode-relay connect`: on opencode's machine, puts the plugin and its settings in place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from opencode_relay import addresses, bundle
from opencode_relay.errors import ConfigError

from . import gateways
from .doctor.checks import Finding, carry_out
from .doctor.relay import LOGIN, RETURN_URL, Examination
from .doctor.web import asking
from .folder import Folder, Options
from .given import asked_key, given_key
from .options import check, key_of, open_to_others
from .shown import as_text

_KEYS = ("key", "keyFile")
_NEXT = "Restart opencode. Then in it: Settings, Providers, OpenAI, Connect."


def connect(
    relay: Annotated[
        str | None,
        typer.Argument(
            metavar="[RELAY_URL]",
            envvar="OPENCODE_RELAY_URL",
            help="The relay's URL; else the one that is connected, or none.",
        ),
    ] = None,
    key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A file with the instance key, for opencode to read; - asks for it. Else "
            "it is OPENCODE_RELAY_KEY, OPENCODE_RELAY_KEY_FILE, the key connected, or asked for.",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="opencode's own https origin, or auto; '' for none."),
    ] = None,
    catcher: Annotated[
        bool | None,
        typer.Option(
            "--catcher/--no-catcher", help="People here have the browser extension or `catch`."
        ),
    ] = None,
    providers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Gateways of one's own: a JSON list, {gateways.LIKE}."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Show what would be written, and do nothing.")
    ] = False,
) -> None:
    """Connect this machine's opencode to a relay: check relay and key, put the plugin there.

    Run again it changes only what differs, and brings the plugin of this version.
    """
    folder = Folder()
    folder.refuse_entry()
    folder.refuse_others()
    was = folder.options() or {}
    options = {**was, **_told(relay, public_url, catcher, providers)}
    given = given_key(key_file)
    if given or options.get("relay") != was.get("relay"):  # one relay's key is not another's
        options = {name: value for name, value in options.items() if name not in _KEYS}
    options = {name: value for name, value in {**options, **given}.items() if value != ""}
    check(options, folder.settings)
    if show:
        _show(folder, options)
        return
    if "providers" in options:
        _check_gateways(folder, options["providers"], known=providers is None)
    if "relay" in options:
        options = _checked(options, given=bool(given))
    done = folder.write(bundle.read(), options)
    print("\n".join(map(as_text, done or ["Nothing to change."])))
    print(_NEXT)
    if options.get("providers"):
        if "relay" not in options:
            print("Gateways take a relay: run this again with its URL.", file=sys.stderr)
        print("A gateway stands below Show more providers, by its name in opencode.json.")


def _told(
    relay: str | None, public_url: str | None, catcher: bool | None, providers: Path | None
) -> Options:
    told: Options = {}
    if relay:
        told["relay"] = addresses.origin(relay, "RELAY_URL")
    if public_url is not None:
        plain = public_url in ("", "auto")
        told["publicUrl"] = public_url if plain else addresses.origin(public_url, "--public-url")
    if catcher is not None:
        told["catcher"] = catcher
    if providers is not None:
        told["providers"] = _json_in(providers)
    return told


def _json_in(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as wrong:
        raise ConfigError(f"{file} is no JSON: {wrong}.") from None


def _check_gateways(folder: Folder, entries: object, *, known: bool) -> None:
    """Raises ConfigError for what the plugin would refuse; says what else new ones lack."""
    with asking() as web:
        checks = gateways.checks(web, folder, entries)
        for one in carry_out(checks[:1] if known else checks, needed=1):
            if one.ok is False:
                raise ConfigError(f"{one.check}: {one.seen} Nothing was changed.")
            if one.ok is None:
                print(as_text(f"{one.check}: {one.seen}"), file=sys.stderr)


def _checked(options: Options, *, given: bool) -> Options:
    """Carry a made-up login through the relay; ask for the key where one is wanted."""
    relay = options["relay"]
    wrong = _wrong(options)
    if wrong and wrong.check == LOGIN and not given:
        if not sys.stdin.isatty():  # a prompt would echo
            raise ConfigError(
                f"{_said(relay, wrong)} Name a file with the instance key by --key-file, or put "
                "the key into OPENCODE_RELAY_KEY."
            )
        print(as_text(_said(relay, wrong)), file=sys.stderr)
        options = {name: value for name, value in options.items() if name not in _KEYS}
        options["key"] = asked_key()
        wrong = _wrong(options)
    if wrong:
        raise ConfigError(f"{_said(relay, wrong)} Nothing was changed.")
    return options


def _wrong(options: Options) -> Finding | None:
    """Return the first thing that is wrong with relay or key."""
    key, public = key_of(options), options.get("publicUrl")
    if sys.stderr.isatty():
        print(f"Asking {options['relay']}, for three minutes at most …", file=sys.stderr)
    if opened := open_to_others(options):
        print(as_text(opened), file=sys.stderr)
    with asking() as web:
        examined = Examination(web, options["relay"], key.reveal() if key else None)
        checks = examined.first(None if public == "auto" else public)
        found = list(carry_out(checks, needed=len(checks)))
    for one in found:
        if one.check == RETURN_URL:
            if one.ok is False:
                print(as_text(one.seen), file=sys.stderr)
        elif one.ok is False or (one.ok is None and one.check == LOGIN):
            return one
    who = "and the key holds" if key else "without a key"
    print(f"{options['relay']} answers, {who}: a made-up login went all the way.")
    return None


def _said(relay: str, wrong: Finding) -> str:
    if wrong.ok is None:
        return f"{relay} wants an instance key."
    return f"{relay}, {wrong.check}: {wrong.seen}"


def _show(folder: Folder, options: Options) -> None:
    shown = {**options, **({"key": "ocr_…"} if "key" in options else {})}
    print(f"{folder.plugin}: the plugin\n{folder.settings}, for its owner alone:")
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    if "relay" in options and not any(name in options for name in _KEYS):
        print(f"A key would be asked for, unless {options['relay']} wants none.")
