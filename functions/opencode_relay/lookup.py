"""Finding a login as it stands now, for a browser that has its state or an instance's verifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import Refused
from .keys import proofs
from .login import OPEN, Login, Status
from .secret import Secret

if TYPE_CHECKING:
    from .stores import Store

_OVER = {
    Status.EXPIRED: "The login's time is over: open another one.",
    Status.DECLINED: "The person pressed Deny.",
    Status.CANCELLED: "The login was cancelled: open another one.",
}


def not_found() -> Refused:
    """The same for no login, for one that is over, and for a verifier of another."""
    detail = "There is no such login, or the verifier is not this login's."
    return Refused("login-not-found", detail)


class Lookup:
    """Reads logins off a store by the clock; what has expired is never given out as open."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._now = clock

    async def read(self, login_id: str) -> Login | None:
        """None where nobody knows it, or any more."""
        found = await self._store.get(login_id)
        return found and found.at(self._now())

    async def known(self, login_id: str) -> Login:
        """Return a login that a browser asks for. Raises Refused `login-over`, `login-expired`."""
        found = await self.read(login_id)
        if found is None:
            raise Refused("login-over")
        if found.status is Status.EXPIRED:
            raise Refused("login-expired", login=found)
        return found

    async def own(self, login_id: str, verifier: Secret) -> Login:
        """Return an open login to its instance.

        Raises Refused `login-not-found`, the same for no login and for a wrong verifier, and
        `login-expired`, `login-declined`, `login-cancelled`.
        """
        found = await self.read(login_id)
        if (
            found is None
            or found.status is Status.FINISHED
            or not proofs.verifier_fits(verifier, found)
        ):
            raise not_found()
        if found.status not in OPEN:
            raise Refused(f"login-{found.status}", _OVER[found.status])
        return found
