"""A string that must not be shown."""

from __future__ import annotations

import hmac


class Secret:
    """A secret string: its repr hides it, and comparing takes constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and same(self._value, other._value)

    def __hash__(self) -> int:
        return hash(self._value)


def same(one: str, other: str) -> bool:
    """Compare in constant time: the one place where secrets are compared."""
    return hmac.compare_digest(one.encode(), other.encode())
