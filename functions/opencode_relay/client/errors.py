"""What can go wrong between an instance and its relay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opencode_relay.errors import RelayError

_LONGEST = 300  # characters of the relay's words


class ClientError(RelayError):
    """Every error of the client, but for `SealError`."""


class NotARelay(ClientError):
    pass


class Unreachable(ClientError):
    pass


class RelayRefused(ClientError):
    """A refusal in the protocol's words: `code` is the problem's slug.

    `detail` is the relay's, cut, and quoted in the message: nobody is to take it for ours.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        slug = str(problem["type"]).rpartition("/")[2]
        self.code = slug if re.fullmatch("[a-z-]{1,60}", slug) else "unknown"
        detail, tries_left = problem.get("detail"), problem.get("tries_left")
        self.detail = detail[:_LONGEST] if isinstance(detail, str) else ""
        self.tries_left: int | None = tries_left if isinstance(tries_left, int) else None
        super().__init__(f"The relay refused ({status} {self.code}): it says {self.detail!r}")


class LoginOver(RelayRefused):
    pass
