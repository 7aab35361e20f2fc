"""What can go wrong between an instance and its relay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_relay.errors import RelayError


class ClientError(RelayError):
    """Every error of the client, but for `SealError`."""


class NotARelay(ClientError):
    pass


class Unreachable(ClientError):
    pass


class RelayRefused(ClientError):
    """A refusal in the protocol's words: `code` is the problem's slug."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem["type"]).rpartition("/")[2]
        detail, tries_left = problem.get("detail"), problem.get("tries_left")
        self.detail = detail if isinstance(detail, str) else ""
        self.tries_left: int | None = tries_left if isinstance(tries_left, int) else None
        super().__init__(f"The relay refused ({status} {self.code}): {self.detail}")


class LoginOver(RelayRefused):
    pass
