"""DELETE: what it ends, what it erases, and that it is always 204."""

import secrets
from dataclasses import fields

from opencode_relay.login import Login, Status

from tests.support.clock import Clock
from tests.support.wire import RETURN_URL, Opened, Wire, bearer, check_problem

# What is left of a finished login: that it is over, and until when that is remembered.
BARE = {
    "id",
    "status",
    "delivery",
    "confirmation",
    "opened_at",
    "expires_at",
    "idp_error",
    "tries",
}


async def finished(wire: Wire, login: Opened) -> Login:
    answer = await wire.finish(login)
    assert (answer.status_code, answer.content) == (204, b"")
    return await wire.kept(login)


def bare(login: Login) -> bool:
    return {f.name for f in fields(login) if getattr(login, f.name) is not None} <= BARE


async def test_a_released_login_is_finished_and_erased(wire: Wire) -> None:
    login = await wire.released(name="n", provider="p")
    kept = await finished(wire, login)
    assert kept.status is Status.FINISHED
    assert bare(kept)


async def test_redirect_is_finished_and_erased(wire: Wire) -> None:
    login = await wire.open(
        delivery="redirect", return_url=RETURN_URL, name="n", idp_issuer="https://idp.example"
    )
    kept = await finished(wire, login)
    assert kept.status is Status.FINISHED
    assert bare(kept)


async def test_a_pending_login_is_cancelled_and_loses_its_keys(wire: Wire) -> None:
    kept = await finished(wire, await wire.open())
    assert kept.status is Status.CANCELLED
    assert (kept.encryption_key, kept.pairing_hash) == (None, None)


async def test_a_held_login_is_cancelled_and_loses_its_response(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    await wire.callback(login)
    kept = await finished(wire, login)
    assert kept.status is Status.CANCELLED
    assert (kept.response, kept.fingerprint) == (None, None)


async def test_a_login_that_is_over_stays_as_it_is(wire: Wire) -> None:
    login = await wire.open()
    await wire.press(await wire.callback(login), "deny")
    assert (await finished(wire, login)).status is Status.DECLINED


async def test_an_expired_login_stays_as_it_is(wire: Wire, clock: Clock) -> None:
    login = await wire.released()
    clock.advance(600)
    await finished(wire, login)
    check_problem(await wire.collect(login), 410, "login-expired")


async def test_it_may_be_asked_twice(wire: Wire) -> None:
    login = await wire.released()
    assert await finished(wire, login) == await finished(wire, login)


async def test_a_wrong_verifier_is_204_and_changes_nothing(wire: Wire) -> None:
    login = await wire.released()
    before = await wire.kept(login)
    answer = await wire.finish(login, **bearer(secrets.token_urlsafe(32)))
    assert answer.status_code == 204
    assert await wire.kept(login) == before


async def test_an_unknown_login_is_204(wire: Wire) -> None:
    login = await wire.open()
    nobody = Opened(login.answer | {"login_id": "nobody" * 4}, login.verifier, login.key)
    assert (await wire.finish(nobody)).status_code == 204


async def test_what_can_be_no_login_is_404(wire: Wire) -> None:
    login = await wire.open()
    nobody = Opened(login.answer | {"login_id": "nobody"}, login.verifier, login.key)
    check_problem(await wire.finish(nobody), 404, "login-not-found")


async def test_a_finished_login_cannot_be_told_from_one_that_never_was(wire: Wire) -> None:
    login = await wire.released()
    await wire.finish(login)
    check_problem(await wire.collect(login), 404, "login-not-found")
    check_problem(await wire.complete(login, "0000-0000"), 404, "login-not-found")
