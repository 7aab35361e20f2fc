"""What the relay refuses, by the codes of the protocol page; `web` gives them a status.

RelayError
├── Refused            the caller, or the person, is told why
├── StoreUnavailable   the store or the keys cannot be read or written just now
└── ConfigError        the operator is told, in one sentence
    └── NameTaken      another instance has the name
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .login import Login


class RelayError(Exception):
    """Every error of this package."""


class Refused(RelayError):
    """A request was refused and nothing was changed.

    `code` is the protocol's slug, `detail` a sentence for a person, `retry_after` in seconds,
    `login` the one that a page may name.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        retry_after: int | None = None,
        tries_left: int | None = None,
        login: Login | None = None,
    ) -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.tries_left = tries_left
        self.login = login


class StoreUnavailable(RelayError):  # a state of the store, told with a 503
    """The store or the key ring cannot be used now; trying again may help."""


class ConfigError(RelayError):
    """A setting, a file or an argument that the operator has to mend."""


class NameTaken(ConfigError):
    """Another instance has the name, or one that looks like it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is an instance named {name!r} already: take another name.")
