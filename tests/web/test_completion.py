"""The completion code that the person types into the instance."""

import asyncio
import secrets

import httpx
import pytest
from opencode_relay.login import MAX_TRIES, Status

from tests.support.clock import Clock
from tests.support.wire import (
    RETURN_URL,
    WRONG_CODE,
    Opened,
    Wire,
    bearer,
    check_problem,
    completion_code_of,
)


async def held(wire: Wire) -> tuple[Opened, str]:
    login = await wire.open(confirmation="completion_code")
    return login, completion_code_of(await wire.callback(login))


async def post(wire: Wire, login: Opened, body: bytes) -> httpx.Response:
    path = f"{login.path}/completion"
    return await wire.http.post(path, content=body, headers=bearer(login.verifier))


async def test_the_right_code_releases(wire: Wire) -> None:
    login, code = await held(wire)
    answer = await wire.complete(login, code)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await wire.collected(login) == {"code": "c0de"}


async def test_case_dashes_spaces_and_look_alikes_are_forgiven(wire: Wire) -> None:
    login, code = await held(wire)
    typed = f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')}\n"
    assert (await wire.complete(login, typed)).status_code == 204


async def test_a_wrong_code_says_how_many_tries_are_left(wire: Wire) -> None:
    login, _ = await held(wire)
    for left in range(MAX_TRIES - 1, 0, -1):
        problem = check_problem(
            await wire.complete(login, WRONG_CODE), 403, "completion-code-wrong"
        )
        assert problem["tries_left"] == left


async def test_the_fifth_wrong_code_cancels(wire: Wire) -> None:
    login, code = await held(wire)
    for _ in range(4):
        await wire.complete(login, WRONG_CODE)
    check_problem(await wire.complete(login, WRONG_CODE), 410, "login-cancelled")
    check_problem(await wire.complete(login, code), 410, "login-cancelled")
    assert (await wire.kept(login)).response is None


async def test_the_fifth_try_may_be_the_right_one(wire: Wire) -> None:
    login, code = await held(wire)
    for _ in range(4):
        await wire.complete(login, WRONG_CODE)
    assert (await wire.complete(login, code)).status_code == 204


async def test_of_parallel_guesses_five_are_looked_at(wire: Wire) -> None:
    login, _ = await held(wire)
    guesses = [wire.complete(login, f"0000-{n:04}") for n in range(20)]
    answers = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert (answers.count(403), answers.count(410)) == (4, 16)


async def test_the_code_is_good_for_its_own_login_only(wire: Wire) -> None:
    (login, _), (_, code) = await held(wire), await held(wire)
    check_problem(await wire.complete(login, code), 403, "completion-code-wrong")


async def test_before_the_callback_the_login_is_pending(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    check_problem(await wire.complete(login, WRONG_CODE), 409, "login-pending")
    assert (await wire.kept(login)).tries == 0


# After release


async def test_the_right_code_again_is_204(wire: Wire) -> None:
    login, code = await held(wire)
    assert [(await wire.complete(login, code)).status_code for _ in range(2)] == [204, 204]


async def test_a_wrong_code_after_release_is_403_and_not_counted(wire: Wire) -> None:
    login, code = await held(wire)
    await wire.complete(login, code)
    for _ in range(MAX_TRIES + 1):
        problem = check_problem(
            await wire.complete(login, WRONG_CODE), 403, "completion-code-wrong"
        )
    assert problem["tries_left"] == MAX_TRIES - 1  # the right one was counted before it was read
    assert (await wire.kept(login)).status is Status.RELEASED


async def test_any_code_is_204_where_an_error_released_the_login(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    await wire.callback(login, error="access_denied")
    assert (await wire.complete(login, WRONG_CODE)).status_code == 204


# What is refused


async def test_another_confirmation_is_409(wire: Wire) -> None:
    login = await wire.open()
    check_problem(await wire.complete(login, WRONG_CODE), 409, "completion-not-expected")
    login = await wire.open(delivery="redirect", return_url=RETURN_URL)
    check_problem(await wire.complete(login, WRONG_CODE), 409, "completion-not-expected")


async def test_an_expired_login_is_410(wire: Wire, clock: Clock) -> None:
    login, code = await held(wire)
    clock.advance(600)
    check_problem(await wire.complete(login, code), 410, "login-expired")


async def test_a_cancelled_login_is_410(wire: Wire) -> None:
    login, code = await held(wire)
    await wire.finish(login)
    check_problem(await wire.complete(login, code), 410, "login-cancelled")


async def test_an_unknown_login_and_a_wrong_verifier_are_the_same_404(wire: Wire) -> None:
    login, code = await held(wire)
    wrong = await wire.complete(login, code, **bearer(secrets.token_urlsafe(32)))
    unknown = Opened(login.answer | {"login_id": "nobody"}, login.verifier, login.key)
    assert check_problem(wrong, 404, "login-not-found") == check_problem(
        await wire.complete(unknown, code), 404, "login-not-found"
    )
    assert (await wire.kept(login)).tries == 0


BODIES = {
    "empty": b"",
    "no JSON": b"KTRW-9F2D",
    "a list": b'["KTRW-9F2D"]',
    "another member": b'{"code": "KTRW-9F2D"}',
    "a member too many": b'{"completion_code": "KTRW-9F2D", "x": 1}',
    "twice": b'{"completion_code": "KTRW-9F2D", "completion_code": "KTRW-9F2D"}',
    "null": b'{"completion_code": null}',
    "a number": b'{"completion_code": 12345678}',
    "too short": b'{"completion_code": "KTRW-9F2"}',
    "too long": b'{"completion_code": "KTRW-9F2DX"}',
    "U is no Crockford digit": b'{"completion_code": "UUUU-UUUU"}',
    "too large": b'{"completion_code": "KTRW-9F2D"}' + b" " * 8192,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_any_other_body_is_400_and_uses_no_try(wire: Wire, body: bytes) -> None:
    login, _ = await held(wire)
    check_problem(await post(wire, login, body), 400, "invalid-request")
    assert (await wire.kept(login)).tries == 0


async def test_the_order_is_401_404_410_409_400(wire: Wire, clock: Clock) -> None:
    login, _ = await held(wire)
    path = f"{login.path}/completion"
    check_problem(await wire.http.post(path, content=b""), 401, "verifier-required")
    stranger = bearer(secrets.token_urlsafe(32))
    answer = await wire.http.post(path, content=b"", headers=stranger)
    check_problem(answer, 404, "login-not-found")
    pairing = await wire.open()
    check_problem(await post(wire, pairing, b""), 409, "completion-not-expected")
    clock.advance(600)
    check_problem(await post(wire, pairing, b""), 410, "login-expired")
