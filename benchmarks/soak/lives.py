"""The lives that logins lead: each confirmation and delivery, among strangers, to each end."""

from __future__ import annotations

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import httpx
from httpx import codes
from opencode_relay.client import LoginOver, RelayRefused
from opencode_relay.keys import state
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import Ring

from benchmarks.soak import tally as is_
from benchmarks.soak.life import Life
from benchmarks.soak.world import EVIL, LIFETIME, RETURN_URL

WRONG_CODE = "0000-0000"
DEATHS = (0, 0.002, 0.01)  # seconds after Allow: some are too late, and do not count
Result = TypeVar("Result")
_RING = Ring.fresh(0)
_FOREIGN = Keys(lambda: _RING)  # another relay's


async def pairing(life: Life) -> str:
    """The person types the instance's pairing code into the confirm page."""
    tally = life.tally
    page = await signed_in(life)
    other = None
    if tally.due(is_.OTHER_CODE):
        other = await life.callback(code=another_code(life))
        life.expect(other, codes.OK, is_.OTHER_CODE)
        tally.met(is_.OTHER_CODE)
    if tally.due(is_.AFTER_EXPIRY, 1 / 3):
        return leave(life, page)
    await life.pause()
    allow = partial(life.press, page, "allow")
    if tally.due(is_.WRONG_PAIRING):
        wrong = partial(life.press, page, "allow", WRONG_CODE)
        await life.refused(is_.WRONG_PAIRING, wrong, codes.UNPROCESSABLE_ENTITY)
    if tally.due(is_.CROSS_SITE):
        await life.refused(is_.CROSS_SITE, partial(life.press_elsewhere, page), codes.FORBIDDEN)
    if tally.due(is_.DENIED):
        life.expect(await life.press(page, "deny"), codes.SEE_OTHER, "Deny")
        await life.ends_with("login-declined", "collected though the person had pressed Deny")
        await life.refused(is_.DENIED, allow, codes.CONFLICT)
        return is_.DECLINED
    if tally.due(is_.CANCELLED):
        await life.finish()
        await life.ends_with("login-cancelled", "collected though its instance had cancelled it")
        await life.refused(is_.CANCELLED, allow, codes.CONFLICT)
        return is_.OVER
    if not life.expect(await releasing(life, allow), codes.SEE_OTHER, "Allow"):
        return "refused"
    if tally.due(is_.AGAIN):
        life.expect(await allow(), codes.SEE_OTHER, is_.AGAIN)
        tally.met(is_.AGAIN)
    if other is not None:
        await life.refused(is_.OTHER_PAGE, partial(life.press, other, "allow"), codes.CONFLICT)
    return await delivered(life)


async def completion(life: Life) -> str:
    """The person types the page's completion code into the instance."""
    tally = life.tally
    page = await signed_in(life, completion_code=True)
    code = life.completion_code(page)
    if tally.due(is_.OTHER_CODE):
        other = partial(life.callback, code=another_code(life))
        await life.refused(is_.OTHER_CODE, other, codes.CONFLICT)
    if tally.due(is_.AFTER_EXPIRY, 1 / 3):
        return leave(life, page)
    await life.pause()
    if tally.due(is_.CANCELLED):
        await life.finish()
        tally.met(is_.CANCELLED)
        if await complete(life, code) != "login-cancelled":
            life.broke(is_.WRONG, "completed though its instance had cancelled it")
        await life.ends_with("login-cancelled", "collected though its instance had cancelled it")
        return is_.OVER
    if tally.due(is_.WRONG_COMPLETION):
        told = await complete(life, WRONG_CODE)
        tally.met(is_.WRONG_COMPLETION)
        if told == "":
            life.broke(is_.READ, "a wrong completion code released it")
        elif told not in {"completion-code-wrong", "login-cancelled"}:
            life.broke(is_.WRONG, f"{is_.WRONG_COMPLETION}: {told}")
    told = await releasing(life, partial(complete, life, code))
    if told == "login-cancelled" and (life.troubled or life.world.target.late_writes):
        return "cancelled by tries"  # a try whose answer was lost counts, and is made again
    if told:
        life.broke(is_.WRONG, f"the right completion code: {told}")
        return "refused"
    return await delivered(life)


async def redirect(life: Life) -> str:
    """The response travels with the person's browser to the return URL."""
    tally = life.tally
    page = await signed_in(life, return_url=RETURN_URL)
    life.owed = True
    sealed = life.carried(page)
    params = await life.unseal(sealed)
    if params is None or not came(life, params):
        return "lost"
    if tally.due(is_.OTHER_KEY):
        life.open_with_another_key(sealed)
    if tally.due(is_.REDIRECT_COLLECTED):
        fault, collect = is_.REDIRECT_COLLECTED, life.ask_directly
        await life.refused(fault, collect, codes.CONFLICT, promise=is_.READ)
    if tally.due(is_.AFTER_EXPIRY, 1 / 3):
        return leave(life)
    await life.finish()
    if tally.due(is_.AFTER_FINISH):
        await life.refused(is_.AFTER_FINISH, life.callback, codes.CONFLICT, promise=is_.LATE)
    return is_.DELIVERED


async def failed(life: Life) -> str:
    """The IdP sends an error, which is the instance's to know."""
    await life.open()
    life.collect()
    await life.pause()
    answer = await life.callback(code=None, error="access_denied")
    # One that was carried out, though its answer was lost, is not taken again.
    lost = life.troubled or life.world.target.late_writes
    if not (lost and answer.status_code == codes.CONFLICT):
        life.expect(answer, codes.OK, "error from the IdP")
    life.owed = True
    params = await life.collected()
    if params is None:
        return "lost"
    life.owed = False
    if params.get("error") != "access_denied":
        life.broke(is_.LOST, "the IdP's error did not come")
    await life.finish()
    return is_.DELIVERED


async def signed_in(
    life: Life, *, completion_code: bool = False, return_url: str | None = None
) -> httpx.Response:
    """Open a login, meet strangers, and come back from the IdP."""
    tally = life.tally
    await life.open(completion_code=completion_code, return_url=return_url)
    if not return_url and tally.random.random() < 2 / 3:
        life.collect()
    await life.pause()
    await strangers(life)
    if tally.due(is_.FORGED):
        forge = partial(life.callback, state=forged(life))
        await life.refused(is_.FORGED, forge, codes.BAD_REQUEST, promise=is_.READ)
    if life.login.idp_issuer and tally.due(is_.MIX_UP):
        mixed = partial(life.callback, iss=tally.random.choice([EVIL, None]))
        await life.refused(is_.MIX_UP, mixed, codes.BAD_REQUEST)
    brought = [life.callback()]
    if tally.due(is_.DUPLICATE):
        brought.append(life.callback())
        tally.met(is_.DUPLICATE)
    pages = await asyncio.gather(*brought)
    for page in pages:
        life.expect(page, codes.OK, "callback")
    if tally.due(is_.SECOND_TAB):
        life.first = pages[0]
        pages = [await life.callback()]
        life.expect(pages[0], codes.OK, is_.SECOND_TAB)
    return pages[0]


async def strangers(life: Life) -> None:
    """Others who know the login's id try to read it and to end it."""
    if life.tally.due(is_.OTHER_VERIFIER):
        read = partial(life.ask_directly, another_verifier(life))
        await life.refused(is_.OTHER_VERIFIER, read, codes.NOT_FOUND, promise=is_.READ)
    if life.tally.due(is_.OTHER_ENDS):
        bearer = {"Authorization": f"Bearer {another_verifier(life)}"}
        end = partial(life.send, "DELETE", f"/v1/logins/{life.id}", headers=bearer)
        await life.refused(is_.OTHER_ENDS, end, codes.NO_CONTENT)


async def delivered(life: Life) -> str:
    """Collect what the person was told to have been passed on, and finish."""
    tally = life.tally
    life.owed = True
    await strangers(life)
    if life.first is not None:
        late = [life.callback]
        if life.login.pairing_code:
            late.append(partial(life.press, life.first, "allow"))
        await life.refused(is_.SECOND_TAB, tally.random.choice(late), codes.CONFLICT)
    # The instance's next process knows what the last one wrote down, if it wrote it down.
    if life.died and tally.random.random() < 1 / 2:
        return leave(life)
    if tally.due(is_.AFTER_EXPIRY, 1 / 3):
        return leave(life)
    params = await life.collected()
    if params is None or not came(life, params):
        return "lost"
    if tally.due(is_.OTHER_KEY):
        answer = await life.ask_directly()
        if life.expect(answer, codes.OK, "collecting again"):
            life.open_with_another_key(answer.json()["response"])
    await life.finish()
    if tally.due(is_.AFTER_FINISH):
        fault, collect = is_.AFTER_FINISH, life.ask_directly
        await life.refused(fault, collect, codes.NOT_FOUND, promise=is_.LATE)
    return is_.DELIVERED


async def expired(life: Life, page: httpx.Response | None) -> None:
    """Check a login whose time is over, whatever had happened to it."""
    gone = (codes.GONE, codes.NOT_FOUND)
    await life.refused(is_.AFTER_EXPIRY, life.ask_directly, *gone, promise=is_.LATE)
    gone = (codes.GONE, codes.CONFLICT)
    await life.refused(is_.AFTER_EXPIRY, life.callback, *gone, promise=is_.LATE)
    if page is not None and life.login.pairing_code:
        allow = partial(life.press, page, "allow")
        await life.refused(is_.AFTER_EXPIRY, allow, *gone, promise=is_.LATE)


def leave(life: Life, page: httpx.Response | None = None) -> str:
    life.owed = False  # nobody asks for it
    life.world.left.append((life.world.leaps, life, page))
    return is_.LEFT


def came(life: Life, params: dict[str, str]) -> bool:
    life.owed = False
    if params.get("code") != life.code:
        life.broke(is_.LOST, "what came is not the code that its person allowed")
    return params.get("code") == life.code


async def releasing(life: Life, step: Callable[[], Awaitable[Result]]) -> Result:
    """Make the step that releases; now and then the process that waits ends just then."""
    if not life.tally.due(is_.INSTANCE_KILLED):
        return await step()
    life.collect()
    made = asyncio.ensure_future(step())
    await asyncio.sleep(life.tally.random.choice(DEATHS))
    await life.die()
    return await made


async def complete(life: Life, code: str) -> str:
    """Type a completion code into the instance; return the refusal's code, if it is one."""
    try:
        await life.ask(lambda: life.instance.client.complete(life.login, code))
    except RelayRefused as refused:
        if isinstance(refused, LoginOver) and not refused.code:
            return str(refused.status)
        return refused.code
    return ""


def another_code(life: Life) -> str:
    code = secrets.token_urlsafe(32)
    life.tally.secrets.add("another party's code", code)
    return code


def another_verifier(life: Life) -> str:
    """Another login's verifier, or a guess."""
    known = [one for one in life.world.verifiers if one != life.login.verifier.reveal()]
    return life.tally.random.choice(known) if known else secrets.token_urlsafe(32)


def forged(life: Life) -> str:
    """A state for this login that its relay did not make."""
    head, claims, signature = life.state.split(".")
    now = life.world.clock.now()
    issuer = life.world.target.issuer
    foreign = state.make(_FOREIGN, Purpose.STATE, issuer, life.id, now, now + LIFETIME)
    unsigned = urlsafe_b64encode(b'{"typ":"login-state+jwt","alg":"none"}').decode().rstrip("=")
    tampered = ("B" if signature[0] == "A" else "A") + signature[1:]
    return life.tally.random.choice(
        [
            f"{head}.{claims}.{tampered}",
            foreign,
            f"{head}.{foreign.partition('.')[2]}",  # with the kid of a key of this relay
            f"{unsigned}.{claims}.",
        ]
    )
