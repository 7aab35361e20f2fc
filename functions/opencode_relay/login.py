"""What a login is: its states and the rules by which it moves. No I/O.

Every rule that moves a login gives a `Change`: one compare-and-set, which a store carries out whole
or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

MAX_TRIES = 5  # wrong completion codes; the fifth cancels (protocol, completion)
RELEASE_KEEPS = 60  # seconds that a release leaves at least for collecting
REMEMBERED = 600  # seconds after expiry in which "410" is still told from "never known"


class Status(StrEnum):
    PENDING = "pending"
    HELD = "held"
    RELEASED = "released"
    FINISHED = "finished"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # never stored: read off the clock


class Delivery(StrEnum):
    POLL = "poll"
    REDIRECT = "redirect"


class Confirmation(StrEnum):
    PAIRING_CODE = "pairing_code"
    COMPLETION_CODE = "completion_code"
    NONE = "none"


OPEN = frozenset({Status.PENDING, Status.HELD, Status.RELEASED})


@dataclass(frozen=True, slots=True)
class Login:
    """One authorization attempt, as a store keeps it. Times are Unix seconds."""

    id: str
    status: Status
    delivery: Delivery
    confirmation: Confirmation
    collect_challenge: str | None
    encryption_key: str | None
    opened_at: float
    opened_from: str | None
    expires_at: float
    instance_id: str | None = None
    registered_name: str | None = None
    name: str | None = None
    provider: str | None = None
    return_url: str | None = None
    idp_issuer: str | None = None
    pairing_hash: str | None = field(default=None, repr=False)
    arrived_at: float | None = None
    fingerprint: str | None = None
    response: str | None = field(default=None, repr=False)
    idp_error: bool = False
    rendering: str | None = None
    tries: int = 0

    def at(self, now: float) -> Login | None:
        """Return the login as it stands now; None when it is no longer remembered.

        A store's own clean-up is never relied on: expiry is decided here.
        """
        if now >= self.expires_at + REMEMBERED:
            return None
        if self.status in OPEN and now >= self.expires_at:
            return replace(self, status=Status.EXPIRED, response=None, **_NOTHING)
        return self


_NOTHING: dict[str, Any] = {"encryption_key": None, "pairing_hash": None, "fingerprint": None}
# What is over keeps only what its last answers need: the challenge, to tell its own instance.
OVER: dict[str, Any] = {**_NOTHING, "response": None, "arrived_at": None}
_ERASED: dict[str, Any] = {
    **OVER,
    "collect_challenge": None,
    "opened_from": None,
    "instance_id": None,
    "registered_name": None,
    "name": None,
    "provider": None,
    "return_url": None,
    "idp_issuer": None,
    "rendering": None,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One compare-and-set on a login: holds if its status is `when`, not expired at `now`."""

    when: Status
    now: float
    values: dict[str, Any] = field(repr=False)


def arrive(now: float) -> Change:
    """A browser has come back from the IdP: waiting may be answered at a quicker pace."""
    return Change(Status.PENDING, now, {"arrived_at": now})


def hold(now: float, *, fingerprint: str, response: str) -> Change:
    values = {
        "status": Status.HELD,
        "fingerprint": fingerprint,
        "response": response,
        "arrived_at": now,
    }
    return Change(Status.PENDING, now, values)


def release(
    login: Login,
    now: float,
    *,
    response: str | None = None,
    rendering: str | None = None,
    idp_error: bool = False,
) -> Change:
    """Give the sealed response free, and at least `RELEASE_KEEPS` seconds to collect it."""
    values: dict[str, Any] = {
        "status": Status.RELEASED,
        "rendering": rendering,
        "idp_error": idp_error,
    }
    if login.expires_at < now + RELEASE_KEEPS:
        values["expires_at"] = now + RELEASE_KEEPS
    if response is not None:
        values["response"] = response
    if login.arrived_at is None:
        values["arrived_at"] = now
    return Change(login.status, now, values)


def decline(now: float, *, rendering: str) -> Change:
    return Change(Status.PENDING, now, {**OVER, "status": Status.DECLINED, "rendering": rendering})


def cancel(login: Login, now: float) -> Change:
    return Change(login.status, now, {**OVER, "status": Status.CANCELLED})


def finish(login: Login, now: float) -> Change:
    """Erase everything about a login but that it is over."""
    return Change(login.status, now, {**_ERASED, "status": Status.FINISHED})


def end(login: Login, now: float) -> Change | None:
    """What DELETE means for this login, or None where it is over already."""
    if login.status is Status.RELEASED or (
        login.delivery is Delivery.REDIRECT and login.status is Status.PENDING
    ):
        return finish(login, now)
    return cancel(login, now) if login.status in OPEN else None
