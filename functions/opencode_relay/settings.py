"""Everything that is configured, read once at start from RELAY_* and refused if wrong."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from .addresses import origin
from .errors import ConfigError
from .login import Confirmation

UNIX_PEER = "unix"  # whoever may connect to the Unix socket: it has no address
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291: IPv4, on a socket for both families


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:12]) <= high):
            raise ConfigError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ConfigError(f"must be {' or '.join(words)}")
        return text

    return read


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(_network(part.strip()) for part in text.split(","))
    except ValueError as wrong:
        raise ConfigError(f"must be CIDRs, or unix, with commas between: {wrong!s:.150}.") from None


def _origin(text: str) -> str:
    try:
        return origin(text, "")
    except ConfigError as wrong:
        raise ConfigError(str(wrong).lstrip(": ")) from None


def _network(text: str) -> str:
    if text == UNIX_PEER:
        return text
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        low = network.network_address.ipv4_mapped
        return f"{low}/{network.prefixlen - _MAPPED.prefixlen}"  # as the peers are shown
    return str(network)


def _clients(text: str) -> tuple[dict[str, str], ...]:
    try:
        found = json.loads(text)
        good = [
            {"issuer": str(c["issuer"]), "client_id": str(c["client_id"])}
            for c in found
            if set(c) == {"issuer", "client_id"}
        ]
    except (ValueError, TypeError, KeyError):
        good, found = [], [text]
    if len(good) != len(found):
        raise ConfigError('must be JSON like [{"issuer":"https://…","client_id":"…"}]')
    return tuple(good)


def _confirmation(text: str) -> Confirmation:
    _one_of("pairing_code", "completion_code")(text)
    return Confirmation(text)


def _data() -> Path:
    try:
        home = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    except RuntimeError:  # a user that no passwd knows, as in containers, and no HOME
        raise ConfigError(
            "There is no home directory to keep data in: name a directory with RELAY_DATA."
        ) from None
    return Path(home) / "opencode-relay"


def _setting(default: Any, read: Callable[[str], Any], about: str) -> Any:
    return field(default=default, metadata={"read": read, "about": about})


@dataclass(frozen=True, slots=True)
class Settings:
    """One relay's settings; in the environment each is `RELAY_` and its name in capitals."""

    public_url: str = _setting("", _origin, "the relay's own origin: its issuer")
    data: Path = field(
        default_factory=_data, metadata={"read": Path, "about": "directory of store and keys"}
    )
    store: Literal["sqlite", "dynamodb"] = _setting(
        "sqlite", _one_of("sqlite", "dynamodb"), "dynamodb: tables that several processes share"
    )
    logins_table: str = _setting("", str, "the table of logins, with dynamodb")
    instances_table: str = _setting("", str, "the table of instances, with dynamodb")
    keys_path: str = _setting("", str, "path of the keys in Parameter Store, with dynamodb")
    enrolment: Literal["closed", "open"] = _setting(
        "closed", _one_of("closed", "open"), "closed: only enrolled instances may open a login"
    )
    confirmation: Confirmation = _setting(
        Confirmation.PAIRING_CODE, _confirmation, "pairing_code or completion_code (stricter)"
    )
    login_lifetime: int = _setting(600, _whole(60, 1800), "seconds a login lives")
    max_wait: int = _setting(20, _whole(0, 25), "seconds a collecting request is held at most")
    trusted_proxies: tuple[str, ...] = _setting(
        (), _networks, "CIDRs whose X-Forwarded-For is believed, or unix, commas between"
    )
    max_waiters: int = _setting(10_000, _whole(1, 1_000_000), "instances that wait at a time")
    open_limit: int = _setting(120, _whole(0, 1_000_000), "logins a minute per instance; 0: any")
    address_limit: int = _setting(
        20,
        _whole(0, 1_000_000),
        "a minute per client address: unenrolled, refused keys, wrong pairing codes; 0: any",
    )
    unenrolled_logins: int = _setting(
        1000,
        _whole(0, 1_000_000),
        "logins that callers who are not enrolled hold open at a time, all together; 0: any",
    )
    hsts_max_age: int = _setting(
        600,
        _whole(0, 63_072_000),
        "seconds for which browsers then take https only from this host name, on every port",
    )
    metrics_port: int = _setting(
        0, _whole(0, 65535), "loopback port of the Prometheus metrics; 0: none"
    )
    registered_clients: tuple[dict[str, str], ...] = _setting(
        (),
        _clients,
        "JSON list of issuer and client_id: IdPs that know this relay's redirect URI",
    )
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "debug, info, warning or error"
    )

    @classmethod
    def load(cls, environ: Mapping[str, str], **flags: str | None) -> Settings:
        """Read RELAY_* from `environ`; a flag that is given wins. Raises ConfigError."""
        values: dict[str, Any] = {}
        for one in fields(cls):
            name = f"RELAY_{one.name.upper()}"
            given = flags.get(one.name)
            text = given if given is not None else environ.get(name)
            if text is None or text == "":
                continue
            where = name if given is None else "--" + one.name.replace("_", "-")
            try:
                values[one.name] = cast("Callable[[str], Any]", one.metadata["read"])(text)
            except ConfigError as wrong:
                # A sentence that is whole has named the value already.
                told = str(wrong)
                value = "" if told.endswith(".") else f" (it is {text[:100]!r})."
                raise ConfigError(f"{where}: {told}{value}") from None
        if values.get("store") == "dynamodb":
            values.setdefault("data", Path())  # which keeps nothing here: a container has no home
        # Or who forgot the word would get another relay, which knows no instance.
        elif beside := sorted({"logins_table", "instances_table", "keys_path"} & set(values)):
            names = ", ".join(f"RELAY_{name.upper()}" for name in beside)
            raise ConfigError(f"{names}: of use with RELAY_STORE=dynamodb only: set that too.")
        return cls(**values)


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Name what looks like a setting and is none: a limit misspelt is a limit missing."""
    known = {f"RELAY_{one.name.upper()}" for one in fields(Settings)} | {"RELAY_TESTS_STRICT"}
    return sorted(name for name in environ if name.startswith("RELAY_") and name not in known)


def settings_help() -> str:
    """List the settings for `serve --help`."""
    unset = {"public_url": "http:// and the port, on loopback", "data": "in your home"}
    preset = Settings(data=Path())
    return "\n\n".join(
        f"RELAY_{one.name.upper()}: {one.metadata['about']} "
        f"({unset.get(one.name, getattr(preset, one.name)) or 'none'})"
        for one in fields(Settings)
    )
