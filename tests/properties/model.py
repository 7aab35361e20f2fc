"""What the protocol says of one login: a pure model, against which the relay is held.

`step` takes one call as one atomic step, but for a completion code, which is counted in one and
compared in another; whatever the relay does when calls meet must be an order of these steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

LIFETIME, RELEASE_KEEPS, REMEMBERED, MAX_TRIES = 600, 60, 600, 5
OPEN = {"pending", "held", "released"}
Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class State:
    """A login; `by` is the rendering of the confirm page that decided it.

    `expires_at` moves with a release, `state_expires_at` never: the state says it itself.
    """

    delivery: str
    confirmation: str
    idp_issuer: str | None
    state_expires_at: float
    expires_at: float
    status: str = "pending"
    params: Params | None = None
    idp_error: bool = False
    by: int | None = None
    tries: int = 0

    def over(self, status: str) -> State:
        return replace(self, status=status, params=None)


@dataclass(frozen=True)
class Answer:
    """A status code, and what of the body the protocol fixes."""

    code: int
    says: str | None = None


@dataclass(frozen=True)
class Callback:
    params: Params


@dataclass(frozen=True)
class Press:
    """A button of rendering `by`, which holds the response with `params`."""

    by: int
    params: Params
    page_expires_at: float
    decision: str = "allow"
    right_code: bool = True
    from_elsewhere: bool = False
    tampered: bool = False


@dataclass(frozen=True)
class Complete:
    """`code` is right, wrong or malformed; `counted` are the tries once it has been counted."""

    code: str
    own: bool = True
    counted: int | None = None


@dataclass(frozen=True)
class Collect:
    own: bool = True


@dataclass(frozen=True)
class Finish:
    own: bool = True


Call = Callback | Press | Complete | Collect | Finish
Step = tuple[State, Answer | Complete]


def step(state: State, call: Call, now: float) -> Step:  # noqa: PLR0911  # an answer a line, as in the tables
    """Return the state after the call, and its answer, or what of the call is still to be done."""
    if state.status in OPEN and now >= state.expires_at:
        seen = replace(state, status="expired")
    else:
        seen = state
    known = now < state.expires_at + REMEMBERED
    if isinstance(call, Callback):
        return _callback(state, call, now)
    if isinstance(call, Press):
        return _press(state, seen, call, now)
    if isinstance(call, Finish):
        return _finish(state, seen, call), Answer(204)
    if isinstance(call, Complete) and call.counted:
        return _compare(state, call, call.counted, now)
    if not call.own or not known or seen.status == "finished":
        return state, Answer(404, "login-not-found")
    if seen.status not in OPEN:
        return state, Answer(410, f"login-{seen.status}")
    if isinstance(call, Complete):
        return _complete(state, call)
    if state.delivery == "redirect":
        return state, Answer(409, "delivery-is-redirect")
    return state, Answer(200 if state.status == "released" else 202, state.status)


def _callback(state: State, call: Callback, now: float) -> Step:  # noqa: PLR0911  # an answer a line, as in the tables
    params = dict(call.params)
    if now >= state.state_expires_at:
        return state, Answer(410)
    again = state.status == "held" and state.params == call.params
    if state.status != "pending" and not again:
        return state, Answer(409)
    if state.idp_issuer and params.get("iss") != state.idp_issuer:
        return state, Answer(400)
    if again or state.delivery == "redirect":
        return state, Answer(200)
    if "error" in params:
        return _released(state, call.params, now, idp_error=True), Answer(200)
    if state.confirmation == "completion_code":
        return replace(state, status="held", params=call.params), Answer(200)
    return state, Answer(200)


def _press(state: State, seen: State, call: Press, now: float) -> Step:  # noqa: PLR0911  # an answer a line, as in the tables
    if call.from_elsewhere:
        return state, Answer(403)
    if now >= call.page_expires_at:
        return state, Answer(410)
    if call.tampered:
        return state, Answer(403)
    if call.decision not in {"allow", "deny"}:
        return state, Answer(400)
    if seen.status == "expired":
        return state, Answer(410)
    wanted = "released" if call.decision == "allow" else "declined"
    again = state.status == wanted and state.by == call.by
    if state.status != "pending" and not again:
        return state, Answer(409)
    if call.decision == "allow" and not call.right_code:
        return state, Answer(422)
    if again:
        return state, Answer(303, wanted)
    if wanted == "declined":
        return replace(state.over("declined"), by=call.by), Answer(303, wanted)
    return replace(_released(state, call.params, now), by=call.by), Answer(303, wanted)


def _finish(state: State, seen: State, call: Finish) -> State:
    if not call.own or seen.status not in OPEN:
        return state
    redirect = state.delivery == "redirect"
    if state.status == "released" or (redirect and state.status == "pending"):
        return replace(state.over("finished"), by=None)
    return state.over("cancelled")


def _complete(state: State, call: Complete) -> Step:
    if state.confirmation != "completion_code":
        return state, Answer(409, "completion-not-expected")
    if state.status == "pending":
        return state, Answer(409, "login-pending")
    if call.code == "malformed":
        return state, Answer(400, "invalid-request")
    if state.status == "released":
        right = call.code == "right" or state.idp_error
        return state, Answer(204) if right else _wrong(state.tries)
    if state.tries >= MAX_TRIES:
        return state.over("cancelled"), Answer(410, "login-cancelled")
    tries = state.tries + 1
    return replace(state, tries=tries), replace(call, counted=tries)


def _compare(state: State, call: Complete, tries: int, now: float) -> Step:
    if call.code == "right" and state.status == "held":
        return _released(state, state.params, now), Answer(204)
    if call.code == "wrong" and tries < MAX_TRIES:
        return state, _wrong(tries)
    cancels = call.code == "wrong" and state.status == "held"
    # Where somebody was quicker, what is there now says the answer.
    return state.over("cancelled") if cancels else state, replace(call, counted=None)


def _wrong(tries: int) -> Answer:
    return Answer(403, f"tries_left {MAX_TRIES - tries}")


def _released(state: State, params: Params | None, now: float, *, idp_error: bool = False) -> State:
    expires_at = max(state.expires_at, now + RELEASE_KEEPS)
    return replace(
        state, status="released", params=params, idp_error=idp_error, expires_at=expires_at
    )


def orders(
    state: State, calls: list[tuple[Call, Answer]], now: float, fits: Callable[[State], bool]
) -> bool:
    """Whether some order of steps gives every call its answer, and a state that fits."""
    seen: set[Any] = set()

    def search(state: State, waiting: tuple[tuple[Call, Answer], ...]) -> bool:
        if not waiting:
            return fits(state)
        key = (state, frozenset((pair, waiting.count(pair)) for pair in waiting))
        if key in seen:
            return False
        seen.add(key)
        return any(search(*after) for after in _next(state, waiting, now))

    return search(state, tuple(calls))


def _next(
    state: State, waiting: tuple[tuple[Call, Answer], ...], now: float
) -> Iterator[tuple[State, tuple[tuple[Call, Answer], ...]]]:
    for n, (call, observed) in enumerate(waiting):
        others = waiting[:n] + waiting[n + 1 :]
        after, result = step(state, call, now)
        if isinstance(result, Complete):
            yield after, (*others, (result, observed))
        elif result == observed:
            yield after, others
