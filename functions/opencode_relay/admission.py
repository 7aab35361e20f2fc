"""Who may open a login, how often, and how it will be confirmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .addresses import bucket
from .errors import Refused
from .events import Events
from .instances import Instance, instance_id_of
from .login import Confirmation, Delivery
from .secret import Secret
from .settings import Settings

if TYPE_CHECKING:
    from .stores import Store


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
        limit = self._settings.address_limit
        if key is None:
            if self._settings.enrolment == "closed":
                raise Refused(
                    "instance-key-required",
                    "Send the instance key as `Authorization: Bearer ocr_…`; the relay's operator "
                    "makes one with `opencode-relay instances add`.",
                )
            await self._limit(f"open {bucket(address)}", limit)
            return Caller(None, address)
        try:
            instance = await self._store.get_instance(instance_id_of(key))
            if instance is None or not instance.accepts(key, self._now()):
                detail = "The relay does not know this instance key, or it was revoked."
                raise Refused("instance-key-invalid", detail)
        except Refused:
            self._events.tell("key_refused")
            await self._limit(f"key {bucket(address)}", limit)
            raise
        await self._limit(f"open {instance.id}", self._settings.open_limit)
        return Caller(instance, address)

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
                    f"with `opencode-relay instances update {instance.id} --return-url URL`.",
                )
            return Confirmation.NONE
        if instance is None or self.strict or request.completion_code:
            return Confirmation.COMPLETION_CODE
        return Confirmation.PAIRING_CODE

    async def may_try_code(self, address: str) -> None:
        """Raise Refused `rate-limited` after too many wrong pairing codes from an address."""
        limit = self._settings.address_limit
        if limit and await self._store.count(_pairing(address), self._minute()) >= limit:
            raise self._too_many("pairing")

    async def count_wrong_code(self, address: str) -> None:
        await self._store.hit(_pairing(address), self._minute())

    async def _limit(self, counter: str, limit: int) -> None:
        if limit and await self._store.hit(counter, self._minute()) > limit:
            raise self._too_many(counter.partition(" ")[0])

    def _too_many(self, what: str) -> Refused:
        self._events.tell("rate_limited", what)
        seconds = 60 - int(self._now()) % 60
        detail = f"Too many in this minute: wait {seconds} s."
        return Refused("rate-limited", detail, retry_after=seconds)

    def _minute(self) -> int:
        return int(self._now() // 60)


def _pairing(address: str) -> str:
    return f"pairing {bucket(address)}"
