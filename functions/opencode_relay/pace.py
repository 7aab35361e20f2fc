"""How soon an instance that is not made to wait should ask again.

Chosen by benchmarks/scale: on AWS each question costs, and so does a delay that a person sees.
"""

from __future__ import annotations

from .login import Login

SLOWEST = 30  # seconds: a code may be good for a minute only
_BEFORE = 8  # seconds; hardly anybody has signed in sooner


def retry_after(login: Login, now: float) -> int:
    """Return whole seconds until the next question.

    Who has taken long will take longer yet, so that the pause grows with the time passed: since
    opening, until a browser is back from the IdP; since then, from every second on.
    """
    if login.arrived_at is None:
        pause = max(_BEFORE, int(now - login.opened_at) // 4)
    else:
        pause = max(1, int(now - login.arrived_at) // 8)
    return min(pause, SLOWEST)
