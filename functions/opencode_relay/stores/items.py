"""Logins and instances as items of DynamoDB, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from opencode_relay.instances import Instance
from opencode_relay.login import REMEMBERED, Confirmation, Delivery, Login, Status

Item = dict[str, Any]


def key_of(pk: str) -> Item:
    return {"pk": {"S": pk}}


def item_of(values: Mapping[str, Any]) -> Item:
    """Write values as DynamoDB has them; None is left out."""
    return {name: _value(value) for name, value in values.items() if value is not None}


def _value(value: object) -> Item:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, tuple):
        return {"L": [{"S": part} for part in value]}
    return {"S": str(value)}


def _read(item: Item, name: str, default: object) -> Any:
    if name not in item:
        return default
    [(kind, value)] = item[name].items()
    if kind == "N":
        return float(value) if "." in value else int(value)
    return tuple(part["S"] for part in value) if kind == "L" else value


def login_item(login: Login) -> Item:
    values = {f.name: getattr(login, f.name) for f in fields(Login)}
    ttl = int(login.expires_at) + REMEMBERED
    return item_of({**values, "pk": f"login#{login.id}", "ttl": ttl})


def login_of(item: Item) -> Login:
    values = {f.name: _read(item, f.name, None) for f in fields(Login)}
    values["status"] = Status(values["status"])
    values["delivery"] = Delivery(values["delivery"])
    values["confirmation"] = Confirmation(values["confirmation"])
    return Login(**values)


def instance_item(instance: Instance) -> Item:
    values = {f.name: getattr(instance, f.name) for f in fields(Instance)}
    return item_of({**values, "pk": f"instance#{instance.id}"})


def instance_of(item: Item) -> Instance:
    return Instance(**{f.name: _read(item, f.name, None) for f in fields(Instance)})
