"""What an answer says, however wrong it is: judged here, believed nowhere else."""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import ClientError, LoginOver, NotARelay, RelayRefused, Unreachable
from .steps import Answer, Result

_LONGEST_PAUSE = 60.0  # seconds; the relay asks for no longer one, and a stranger may not


def expect(answer: Answer | None, status: int, issuer: str) -> Answer:
    if answer is None:
        raise Unreachable("The relay cannot be reached: check its URL and that it runs.")
    if answer.status != status:
        raise refusal(answer, issuer)
    return answer


def refusal(answer: Answer, issuer: str) -> ClientError:
    """Return RelayRefused only where the relay itself speaks, and NotARelay for any other."""
    if 300 <= answer.status < 400:  # noqa: PLR2004
        return NotARelay("The relay's URL answers with a redirect, which is not followed.")
    problem = _parsed(answer) or {}
    kind = problem.get("type")
    if not isinstance(kind, str) or not kind.startswith(f"{issuer}/problems/"):
        return NotARelay(f"The relay's URL answers {answer.status}, but not as a relay does.")
    return (LoginOver if answer.status in {404, 410} else RelayRefused)(answer.status, problem)


def is_pending(answer: Answer) -> bool:
    found = _parsed(answer) or {}
    return answer.status == 202 and found.get("status") in ("pending", "held")  # noqa: PLR2004


def relays_own_end(answer: Answer, issuer: str) -> RelayRefused | None:
    """Return the relay's own word that there is nothing more to wait for, if this is one."""
    wrong = refusal(answer, issuer)
    passes = answer.status == 429 or not 400 <= answer.status < 500  # noqa: PLR2004
    return wrong if isinstance(wrong, RelayRefused) and not passes else None


def json_object(answer: Answer) -> dict[str, Any]:
    found = _parsed(answer)
    if found is None:
        raise NotARelay("The relay's URL answers with something that is no JSON object.")
    return found


def _parsed(answer: Answer) -> dict[str, Any] | None:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):  # RecursionError: [[[[…
        return None
    return found if isinstance(found, dict) else None


def member(found: dict[str, Any], name: str, kind: type[Result]) -> Result:
    value = found.get(name)
    if not isinstance(value, kind):
        raise _unusable(name)
    return value


def text(found: dict[str, Any], name: str, form: str) -> str:
    value = member(found, name, str)
    if not re.fullmatch(form, value):
        raise _unusable(name)
    return value


def whole(found: dict[str, Any], name: str, most: int) -> int:
    """Return whole seconds: a clock or a timeout raises at numbers that JSON can well write."""
    value = found.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise _unusable(name)
    return value


def retry_after(answer: Answer | None, default: float) -> float:
    asked = answer.retry_after if answer else ""
    return min(float(asked), _LONGEST_PAUSE) if re.fullmatch("[0-9]{1,6}", asked) else default


def _unusable(name: str) -> NotARelay:
    return NotARelay(f"The relay's answer has no usable member {name!r}.")
