"""The life of a login, in its order: open, receive, confirm, complete, collect, finish.

Knows no HTTP and no AWS. Every refusal is a `Refused` with a code of the protocol, and changes
nothing. Where a compare-and-set does not hold, something else was quicker, and the step is taken
again on what is there now: a login only moves forward, so this ends.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from . import login, names, pace
from .addresses import bucket
from .admission import Admission, Caller, OpenRequest
from .doorbells import Doorbells, never
from .errors import Refused, StoreUnavailable
from .events import Events
from .keys import proofs, state
from .keys.held import Keys
from .keys.key import Purpose
from .login import Change, Confirmation, Delivery, Login, Status
from .lookup import Lookup
from .outcomes import Collected, ConfirmForm, Opened, Received
from .secret import Secret, same
from .settings import Settings

if TYPE_CHECKING:
    from .stores import Store

MAX_ADDRESS = 7500  # bytes of a redirect; proxies refuse request lines over 8 kB
WAKING = 3  # turns of the event loop that a bell takes to be heard and answered
BUSY = 5  # seconds to stay away where there was no place to wait, or another waiter took it


class Relay:
    """The use cases over one store and one key ring.

    `poll` gives the seconds (of a login, now) after which a waiter reads the store though no bell
    rang, for what another process did: on AWS all of it, on one machine nothing, for its chores
    ring then.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        keys: Keys,
        *,
        events: Events | None = None,
        clock: Callable[[], float] = time.time,
        poll: Callable[[Login, float], float] = lambda *_: 25,
    ) -> None:
        self.settings = settings
        self.issuer = settings.public_url
        self.store = store
        self.keys = keys
        self.events = events or Events()
        self.bells = Doorbells(settings.max_waiters)
        self.admission = Admission(settings, store, self.events, clock)
        self.now = clock
        self._logins = Lookup(store, clock)
        self._poll = poll

    async def open(self, caller: Caller, request: OpenRequest) -> Opened:
        """Open a login for an admitted caller."""
        confirmation = self.admission.confirmation(caller, request)
        now, instance = self.now(), caller.instance
        login_id = secrets.token_urlsafe(18)
        expires_at = int(now) + self.settings.login_lifetime
        code = names.new_code() if confirmation is Confirmation.PAIRING_CODE else None
        new = Login(
            id=login_id,
            status=Status.PENDING,
            delivery=request.delivery,
            confirmation=confirmation,
            collect_challenge=request.collect_challenge,
            encryption_key=request.encryption_key,
            opened_at=now,
            opened_from=caller.address,
            expires_at=expires_at,
            instance_id=instance.id if instance else None,
            registered_name=instance.name if instance else None,
            name=request.name,
            provider=request.provider,
            return_url=request.return_url,
            idp_issuer=request.idp_issuer,
            pairing_hash=code and proofs.pairing_hash(self.keys, login_id, now, code),
        )
        token = state.make(self.keys, Purpose.STATE, self.issuer, login_id, now, expires_at)
        await self.admission.hold(caller, expires_at)
        try:
            await self.store.create(new)
        except StoreUnavailable:
            await self.admission.let_go(new)
            raise
        who = new.instance_id
        self.events.tell("opened", new.confirmation, login_id=login_id, instance_id=who)
        return Opened(new, Secret(token), Secret(code) if code else None)

    async def receive(self, token: str, params: Mapping[str, str]) -> Received:
        """Take the IdP's callback: `params` without the state, which is `token`."""
        try:
            received = await self._receive(token, params)
        except Refused as refused:
            self.events.tell("callback", refused.code)
            raise
        self.events.tell("callback", received.page, login_id=received.login.id)
        return received

    async def _receive(self, token: str, params: Mapping[str, str]) -> Received:
        # Only callbacks seal: the functions that take none start without what it needs.
        from . import response  # noqa: PLC0415

        now = self.now()
        claims = state.read(self.keys, Purpose.STATE, self.issuer, token, now)
        found = await self._logins.known(claims["jti"])
        again = found.status is Status.HELD and same(
            proofs.fingerprint(self.keys, found, params), found.fingerprint or ""
        )
        if found.status is not Status.PENDING and not again:
            raise Refused("login-over", login=found)
        # RFC 9207: where an issuer is expected, a missing one is a mix-up too.
        if found.idp_issuer is not None and params.get("iss") != found.idp_issuer:
            raise Refused("issuer-mismatch", login=found)
        if again:
            code = proofs.completion_code(self.keys, found)
            return Received("completion", found, completion_code=code)
        sealed = response.seal(
            self.keys,
            issuer=self.issuer,
            login_id=found.id,
            encryption_key=found.encryption_key or "",
            params=params,
            now=now,
            exp=found.expires_at,
        )
        if found.delivery is Delivery.REDIRECT:
            # Nothing is stored: only the browser has it, so it can never be collected.
            address = f"{found.return_url}?response={sealed}"
            if len(address) > MAX_ADDRESS:
                raise Refused("address-too-long", login=found)
            return Received("onward", found, address=address)
        if "error" in params:
            released = login.release(found, now, response=sealed, idp_error=True)
            if await self._move(found, released, "idp_error"):
                return Received("idp_error", found, error=params["error"])
            return await self._receive(token, params)
        if found.confirmation is Confirmation.COMPLETION_CODE:
            fingerprint = proofs.fingerprint(self.keys, found, params)
            held = login.hold(now, fingerprint=fingerprint, response=sealed)
            await self.store.apply(found.id, held)
            return await self._receive(token, params)  # shows the code of whatever is held now
        if found.arrived_at is None:
            await self.store.apply(found.id, login.arrive(now))
        return Received("confirm", found, sealed=sealed, token=self._page_token(found, sealed))

    def _page_token(self, found: Login, sealed: str) -> str:
        rendering, bound = secrets.token_urlsafe(12), proofs.digest(sealed)
        return state.make(
            self.keys,
            Purpose.CONFIRM,
            self.issuer,
            found.id,
            self.now(),
            found.expires_at,
            rid=rendering,
            rsp=bound,
        )

    async def confirm(self, form: ConfirmForm, address: str) -> Status | Login:
        """Carry out a person's decision: RELEASED or DECLINED.

        With a wrong pairing code the login comes back instead, unchanged, for the same page again.
        """
        now = self.now()
        claims = state.read(self.keys, Purpose.CONFIRM, self.issuer, form.token, now)
        if not same(claims["rsp"], proofs.digest(form.sealed)):
            raise Refused("token-invalid")
        if form.decision not in {"allow", "deny"}:
            raise Refused("decision-unknown")
        found, rendering = await self._logins.known(claims["jti"]), claims["rid"]
        wanted = Status.RELEASED if form.decision == "allow" else Status.DECLINED
        pressed_again = found.status is wanted and same(found.rendering or "", rendering)
        if found.status is not Status.PENDING and not pressed_again:
            raise Refused("login-over", login=found)
        if wanted is Status.RELEASED:
            counted = await self.admission.count_code(address)
            if not proofs.pairing_code_fits(self.keys, found, form.pairing_code):
                self.events.tell("pairing_code_wrong", login_id=found.id)
                return found
            await self.admission.take_back(counted)
            change = login.release(found, now, response=form.sealed, rendering=rendering)
        else:
            change = login.decline(now, rendering=rendering)
        if pressed_again or await self._move(found, change, "person"):
            return wanted
        return await self.confirm(form, address)

    async def complete(self, login_id: str, verifier: Secret, read: Callable[[], str]) -> None:
        """Take the completion code that the person typed into the instance.

        `read` gives it in its one form, or raises Refused; it is asked only where a code is due.
        """
        found = await self._logins.own(login_id, verifier)
        if found.confirmation is not Confirmation.COMPLETION_CODE:
            raise Refused("completion-not-expected", "This login is not confirmed by such a code.")
        if found.status is Status.PENDING:
            detail = "Nobody has come back from the identity provider yet."
            raise Refused("login-pending", detail)
        typed = read()
        if found.status is Status.RELEASED:
            if not found.idp_error and not same(typed, proofs.completion_code(self.keys, found)):
                raise _wrong_completion(found.tries)
            return
        # Counted before it is compared: of parallel guesses no more than the limit are looked at.
        tries = await self.store.count_try(login_id, self.now())
        if tries is not None:
            if same(typed, proofs.completion_code(self.keys, found)):
                if await self._move(found, login.release(found, self.now()), "person"):
                    return
            elif tries < login.MAX_TRIES:
                raise _wrong_completion(tries)
        if (tries or found.tries) >= login.MAX_TRIES:
            await self._move(found, login.cancel(found, self.now()), "tries")
        await self.complete(login_id, verifier, lambda: typed)  # what is there now says the answer

    async def collect(
        self,
        login_id: str,
        verifier: Secret,
        wait: Callable[[], float],
        gone: Callable[[], Awaitable[None]] = never,
    ) -> Collected:
        """Give out the sealed response, waiting as long as asked, or until `gone` returns."""
        began = time.monotonic()
        found = await self._logins.own(login_id, verifier)
        if found.delivery is Delivery.REDIRECT:
            detail = "The response comes with the person's browser only."
            raise Refused("delivery-is-redirect", detail)
        seconds = wait()
        if found.status is Status.RELEASED or not seconds:
            return self._collected(found, pace.retry_after(found, self.now()))
        until = began + min(seconds, found.expires_at - self.now())
        owner = found.instance_id or bucket(found.opened_from or "")
        with self.bells.waiter(login_id, owner) as bell:
            if bell is None:
                return self._collected(found, BUSY)
            while True:
                # Read only after the bell hangs: a release in between would ring at nobody.
                found = await self._logins.own(login_id, verifier)
                left = until - time.monotonic()
                if found.status is Status.RELEASED or left <= 0 or bell.gone:
                    return self._collected(found, 0)
                if not self.bells.current(login_id, bell):
                    return self._collected(found, BUSY)
                pause = min(left, self._poll(found, self.now()))
                del found  # thousands wait, and each keeps what stands here
                await bell.wait(pause, gone)

    def _collected(self, found: Login, retry_after: int) -> Collected:
        if found.status is not Status.RELEASED:
            return Collected(found.status, retry_after=retry_after)
        self.events.tell("collected", login_id=found.id)
        if found.arrived_at:
            self.events.metrics.seconds_to_collection(max(0, self.now() - found.arrived_at))
        return Collected(found.status, found.response)

    async def finish(self, login_id: str, verifier: Secret) -> None:
        """End a login for its instance; nothing happens to one that is over or somebody else's."""
        found = await self._logins.read(login_id)
        if found is not None and proofs.verifier_fits(verifier, found):
            change = login.end(found, self.now())
            if change is not None and not await self._move(found, change, "instance"):
                await self.finish(login_id, verifier)

    async def _move(self, found: Login, change: Change, cause: str) -> bool:
        """Carry out a change that ends waiting, and wake who waits. False: another was quicker."""
        if not await self.store.apply(found.id, change):
            return False
        # Before anything else has its turn: "collected" follows "released" in the log.
        self.events.tell(change.values["status"], cause, login_id=found.id)
        if change.values["status"] not in login.OPEN:
            await self.admission.let_go(found)
        if self.bells.ring(found.id):
            for _ in range(WAKING):  # who waits is answered before this caller
                await asyncio.sleep(0)
        return True


def _wrong_completion(tries: int) -> Refused:
    left = login.MAX_TRIES - tries
    detail = f"This is not the completion code; tries left: {left}."
    return Refused("completion-code-wrong", detail, tries_left=left)
