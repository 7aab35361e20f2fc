"""What the talk and a mouth hand each other: requests, answers, and the login they are about."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from joserfc.jwk import ECKey

from opencode_relay.secret import Secret

_ANSWER = 10.0  # seconds for an answer, beside what the relay was asked to hold it

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class OpenLogin:
    """A login that this client opened, with what proves that it is ours."""

    login_id: str
    state: Secret
    redirect_uri: str
    confirmation: str
    pairing_code: Secret | None
    opened_at: float  # of time.monotonic()
    expires_at: float  # of time.monotonic()
    max_wait: int
    idp_issuer: str | None
    verifier: Secret
    private_key: ECKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """A request, which the relay is asked to hold for `held` seconds."""

    method: str
    path: str
    bearer: Secret | None = None
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, str] | None = None
    held: int = 0

    @property
    def timeout(self) -> float:
        """Seconds in which all of the answer has to come."""
        return self.held + _ANSWER


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came whole. One that did not, whatever the reason, is None in its place."""

    status: int
    retry_after: str
    body: bytes = field(repr=False)


# Requests, and seconds to sleep; a sleep is answered by None.
Steps = Generator[Send | float, Answer | None, Result]
