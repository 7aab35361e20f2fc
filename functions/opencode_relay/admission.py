"""Who may open a login, how often, and how it will be confirmed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import program
from .addresses import bucket, wide_bucket
from .errors import Refused, StoreUnavailable
from .events import Events
from .instances import USE_NOTED, Instance, instance_id_of
from .login import Confirmation, Delivery, Login
from .secret import Secret
from .settings import Settings

if TYPE_CHECKING:
    from .stores import Store


WIDE = 4  # times the limit of an address that an IPv6 /48 has: some are one caller, some a town
HELD_SHARE, HELD_EACH = 20, 50  # one site's part of the logins that strangers hold, and its least
_HELD = "held"
_LOG = logging.getLogger("opencode_relay")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who opens a login: an enrolled instance, or somebody at an address."""

    instance: Instance | None
    address: str


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a caller asks for, checked; `encryption_key` is a JWK in canonical JSON."""

    collect_challenge: str
    encryption_key: str
    delivery: Delivery
    return_url: str | None
    completion_code: bool
    name: str | None
    provider: str | None
    idp_issuer: str | None


@dataclass(frozen=True, slots=True)
class Try:
    """Where a try was counted."""

    counters: tuple[str, ...]
    minute: int


class Admission:
    """Checks keys and counts tries, by the minute. A limit of 0 is none."""

    def __init__(
        self, settings: Settings, store: Store, events: Events, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._store = store
        self._events = events
        self._now = clock
        self.strict = settings.confirmation is Confirmation.COMPLETION_CODE

    async def admit(self, key: Secret | None, address: str) -> Caller:
        """Decide who may open a login. A key that is sent and wrong is never taken as absent."""
        if key is None:
            if self._settings.enrolment == "closed":
                raise Refused(
                    "instance-key-required",
                    "Send the instance key as `Authorization: Bearer ocr_…`; the relay's operator "
                    f"makes one with `{program.name()} instances add NAME`.",
                )
            await self._limit_address("open", address)
            return Caller(None, address)
        try:
            instance = await self._store.get_instance(instance_id_of(key))
            if instance is None or not instance.accepts(key, self._now()):
                detail = "The relay does not know this instance key, or it was revoked."
                raise Refused("instance-key-invalid", detail)
        except Refused:
            self._events.tell("key_refused")
            await self._limit_address("key", address)
            raise
        await self._limit(f"open {instance.id}", self._settings.open_limit)
        await self._note_use(instance)
        return Caller(instance, address)

    async def _note_use(self, instance: Instance) -> None:
        now = self._now()
        if (instance.last_used_at or 0) <= now - USE_NOTED:
            with _unheard("use_not_noted"):  # a login is worth more than the list of instances
                await self._store.note_use(instance.id, now, now - USE_NOTED)

    def confirmation(self, caller: Caller, request: OpenRequest) -> Confirmation:
        """The protocol's table of who confirms how. Nothing loosens it."""
        instance = caller.instance
        if instance is None and request.name is None:
            raise Refused("invalid-request", "name is required of a caller that is not enrolled.")
        if request.delivery is Delivery.REDIRECT:
            if instance is None or self.strict:
                detail = "This relay offers delivery redirect to enrolled instances only."
                if self.strict:
                    detail = "This relay's operator demands a completion code: use delivery poll."
                raise Refused("redirect-not-offered", detail)
            # The same string: whatever a parser could read in two ways does not arise.
            if request.return_url not in instance.return_urls:
                raise Refused(
                    "return-url-not-allowed",
                    "return_url is not registered for this instance. The relay's operator adds it "
                    f"with `{program.name()} instances update {instance.id} --return-url URL`.",
                )
            return Confirmation.NONE
        if instance is None or self.strict or request.completion_code:
            return Confirmation.COMPLETION_CODE
        return Confirmation.PAIRING_CODE

    async def hold(self, caller: Caller, expires_at: float) -> None:
        """Count one more login that is held open by somebody who is not enrolled.

        Raises Refused `rate-limited` where there are too many: each is a row in the store, and a
        limit by address does not bound what many addresses hold together; a share of each keeps
        a few of them from holding all.
        """
        ends = _minute(expires_at)
        most = self._settings.unenrolled_logins
        if caller.instance is None and most:
            share = max(HELD_EACH, most // HELD_SHARE) if self._settings.address_limit else most
            await self._hold(f"{_HELD} {wide_bucket(caller.address)}", ends, share)
            try:
                await self._hold(_HELD, ends, most)
            except Refused:
                await self._store.take_back(f"{_HELD} {wide_bucket(caller.address)}", ends)
                raise

    async def let_go(self, over: Login) -> None:
        if self._settings.unenrolled_logins:
            await let_go(self._store, over)

    async def _hold(self, counter: str, ends: int, most: int) -> None:
        await self._store.hit(counter, ends)
        if await self._store.count(counter, range(_minute(self._now()), ends + 1)) > most:
            await self._store.take_back(counter, ends)
            self._events.tell("rate_limited", "held")
            detail = (
                "Callers without a key hold too many logins open: try again when some are over."
            )
            raise Refused("rate-limited", detail, retry_after=60)

    async def count_code(self, address: str) -> Try:
        """Count a try at a pairing code before it is compared: of many at once few are looked at.

        Raises Refused `rate-limited` after too many wrong ones from an address.
        """
        return await self._limit_address("pairing", address)

    async def take_back(self, right: Try) -> None:
        """Only wrong codes count."""
        for counter in right.counters:
            await self._store.take_back(counter, right.minute)

    async def _limit_address(self, what: str, address: str) -> Try:
        """Count per IPv4 address or IPv6 /64, and first per /48, of which some callers have one."""
        limit = self._settings.address_limit
        wide, narrow = f"{what} {wide_bucket(address)}", f"{what} {bucket(address)}"
        if wide == narrow:
            return await self._limit(narrow, limit)
        outer = await self._limit(wide, limit * WIDE)
        try:
            inner = await self._limit(narrow, limit)
        except Refused:
            await self.take_back(outer)  # or one of them would use up the limit of all
            raise
        return Try((*outer.counters, *inner.counters), inner.minute)

    async def _limit(self, counter: str, limit: int) -> Try:
        minute = _minute(self._now())
        if not limit:
            return Try((), minute)
        if await self._store.hit(counter, minute) > limit:
            raise self._too_many(counter.partition(" ")[0])
        return Try((counter,), minute)

    def _too_many(self, what: str) -> Refused:
        self._events.tell("rate_limited", what)
        seconds = 60 - int(self._now()) % 60
        detail = f"Too many in this minute: wait {seconds} s."
        return Refused("rate-limited", detail, retry_after=seconds)


async def let_go(store: Store, over: Login) -> None:
    """Count one less, for a login that was open until now; what expires leaves by itself."""
    if over.instance_id is None:
        wide = f"{_HELD} {wide_bucket(over.opened_from or '')}"
        with _unheard("place_not_freed"):  # the login is over all the same
            for counter in (wide, _HELD):
                await store.take_back(counter, _minute(over.expires_at))


async def end_all(store: Store, now: float) -> int:
    """Cancel all open logins; return how many there were."""
    over = await store.cancel_all(now)
    for login in over:
        await let_go(store, login)
    return len(over)


@contextmanager
def _unheard(event: str) -> Iterator[None]:
    """Do what no caller has to know the failure of; the operator has."""
    try:
        yield
    except StoreUnavailable as wrong:
        _LOG.warning(event, extra={"fields": {"detail": str(wrong)}})


def _minute(seconds: float) -> int:
    return int(seconds // 60)
