"""What goes into the use cases and comes out of them. Secrets are kept out of every repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .login import Login, Status
from .secret import Secret


@dataclass(frozen=True, slots=True)
class Opened:
    login: Login
    state: Secret
    pairing_code: Secret | None


@dataclass(frozen=True, slots=True)
class Received:
    """What the browser that brought a callback is to be shown; `page` says which of the rest."""

    page: Literal["confirm", "completion", "onward", "idp_error"]
    login: Login
    sealed: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    completion_code: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    error: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ConfirmForm:
    """The confirm page's form, as it came."""

    token: str = field(repr=False)
    sealed: str = field(repr=False)
    decision: str
    pairing_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Collected:
    """A sealed response, or else the status and the pace (seconds) at which to ask again."""

    status: Status
    sealed: str | None = field(default=None, repr=False)
    retry_after: int = 0
