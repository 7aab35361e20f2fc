"""Collecting: every line of its table, and what `wait` may be. Waiters are in test_waiting."""

import secrets

import httpx
import pytest
from opencode_relay.login import Status

from tests.support.clock import Clock
from tests.support.wire import (
    RETURN_URL,
    MakeWire,
    Opened,
    Wire,
    bearer,
    challenge_of,
    check_problem,
)


def waits(answer: httpx.Response, status: str, pace: str) -> bool:
    found = (answer.status_code, answer.json(), answer.headers["retry-after"])
    return found == (202, {"status": status}, pace)


# Released


async def test_a_released_login_gives_its_sealed_response(wire: Wire) -> None:
    login = await wire.released()
    answer = await wire.collect(login)
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "response"}
    assert answer.json()["status"] == "released"
    assert wire.unseal(login, answer.json()["response"]) == {"code": "c0de"}


async def test_the_same_bytes_again_until_finish(wire: Wire) -> None:
    login = await wire.released()
    answers = [await wire.collect(login, wait) for wait in (0, 20, 0)]
    assert len({answer.content for answer in answers}) == 1
    await wire.finish(login)
    check_problem(await wire.collect(login), 404, "login-not-found")


async def test_a_collected_login_stays_released(wire: Wire) -> None:
    login = await wire.released()
    await wire.collect(login)
    assert (await wire.kept(login)).status is Status.RELEASED


async def test_a_release_leaves_60_seconds_at_least(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    clock.advance(599)
    page = await wire.callback(login)
    await wire.press(page, "allow", login.pairing_code)
    clock.advance(59)
    assert (await wire.collect(login)).status_code == 200
    clock.advance(1)
    check_problem(await wire.collect(login), 410, "login-expired")


async def test_an_early_release_does_not_shorten_the_login(wire: Wire, clock: Clock) -> None:
    login = await wire.released()
    clock.advance(599)
    assert (await wire.collect(login)).status_code == 200
    clock.advance(1)
    check_problem(await wire.collect(login), 410, "login-expired")


# Not yet


async def test_before_the_callback_it_is_pending(wire: Wire) -> None:
    assert waits(await wire.collect(await wire.open()), "pending", "8")


async def test_once_a_browser_has_come_the_pace_is_quicker(wire: Wire) -> None:
    login = await wire.open()
    await wire.callback(login)
    assert waits(await wire.collect(login), "pending", "1")


async def test_a_held_login_says_so(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    await wire.callback(login)
    assert waits(await wire.collect(login), "held", "1")


async def test_after_waiting_in_vain_it_may_be_asked_again_at_once(make_wire: MakeWire) -> None:
    wire = make_wire(max_wait=20, enrolment="open")
    assert waits(await wire.collect(await wire.open(name="x"), 1), "pending", "0")


async def test_wait_is_0_where_nothing_is_said(wire: Wire) -> None:
    login = await wire.open()
    answer = await wire.http.get(f"{login.path}/response", headers=bearer(login.verifier))
    assert waits(answer, "pending", "8")


async def test_a_longer_wait_is_clamped(make_wire: MakeWire) -> None:
    wire = make_wire(max_wait=1, enrolment="open")
    login = await wire.open(name="x")
    assert waits(await wire.collect(login, 9_999_999), "pending", "0")


async def test_a_relay_that_does_not_wait_answers_at_once(make_wire: MakeWire) -> None:
    wire = make_wire(max_wait=0, enrolment="open")
    assert waits(await wire.collect(await wire.open(name="x"), 20), "pending", "8")


@pytest.mark.parametrize("wait", ["", "-1", "1.5", "x", "1&wait=1", "²", "%FF", " 1", "+1"])
async def test_any_other_wait_is_400(wire: Wire, wait: str) -> None:
    check_problem(await wire.collect(await wire.open(), wait), 400, "invalid-request")


# Over


async def test_redirect_is_never_collected(wire: Wire) -> None:
    login = await wire.open(delivery="redirect", return_url=RETURN_URL)
    check_problem(await wire.collect(login), 409, "delivery-is-redirect")
    await wire.callback(login)
    check_problem(await wire.collect(login, 20), 409, "delivery-is-redirect")


async def test_redirect_is_told_after_410_and_404(wire: Wire, clock: Clock) -> None:
    login = await wire.open(delivery="redirect", return_url=RETURN_URL)
    clock.advance(600)
    check_problem(await wire.collect(login), 410, "login-expired")
    clock.advance(600)
    check_problem(await wire.collect(login), 404, "login-not-found")


async def over(wire: Wire, how: str) -> Opened:
    login = await wire.open()
    if how == "declined":
        await wire.press(await wire.callback(login), "deny")
    elif how == "cancelled":
        await wire.finish(login)
    else:
        wire.clock.advance(600)
    return login


@pytest.mark.parametrize("how", ["expired", "declined", "cancelled"])
async def test_a_login_that_is_over_is_410(wire: Wire, how: str) -> None:
    check_problem(await wire.collect(await over(wire, how)), 410, f"login-{how}")


@pytest.mark.parametrize("how", ["expired", "declined", "cancelled"])
async def test_ten_minutes_after_expiry_it_was_never_known(wire: Wire, how: str) -> None:
    start = wire.clock()
    login = await over(wire, how)
    wire.clock.now = start + 1199
    check_problem(await wire.collect(login), 410, f"login-{how}")
    wire.clock.now = start + 1200
    check_problem(await wire.collect(login), 404, "login-not-found")


async def test_expiry_does_not_wait_for_the_stores_clean_up(wire: Wire, clock: Clock) -> None:
    login = await wire.released()
    clock.advance(600)
    check_problem(await wire.collect(login), 410, "login-expired")
    assert (await wire.kept(login)).status is Status.RELEASED


# Whose


async def test_unknown_finished_and_wrong_verifier_are_the_same_404(wire: Wire) -> None:
    login = await wire.released()
    wrong = await wire.collect(login, **bearer(secrets.token_urlsafe(32)))
    nobody = Opened(login.answer | {"login_id": secrets.token_urlsafe(18)}, "v" * 43, login.key)
    unknown = await wire.collect(nobody)
    await wire.finish(login)
    finished = await wire.collect(login)
    problems = [check_problem(a, 404, "login-not-found") for a in (wrong, unknown, finished)]
    assert problems[0] == problems[1] == problems[2]


async def test_404_is_told_before_a_wrong_wait(wire: Wire) -> None:
    login = await wire.open()
    answer = await wire.collect(login, "x", **bearer("v" * 43))
    check_problem(answer, 404, "login-not-found")


MALFORMED = {
    "none": None,
    "empty": "",
    "no token": "Bearer",
    "another scheme": "Basic " + "v" * 43,
    "42 characters": "Bearer " + "v" * 42,
    "129 characters": "Bearer " + "v" * 129,
    "outside the PKCE alphabet": "Bearer " + "v" * 42 + "+",
    "two tokens": "Bearer " + "v" * 43 + " " + "v" * 43,
}


@pytest.mark.parametrize("authorization", MALFORMED.values(), ids=MALFORMED)
async def test_without_a_verifier_every_endpoint_of_a_login_is_401(
    wire: Wire, authorization: str | None
) -> None:
    login = await wire.open()
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/response"), ("POST", "/completion"), ("DELETE", "")):
        answer = await wire.http.request(method, login.path + path, headers=headers)
        check_problem(answer, 401, "verifier-required")
        assert answer.headers["www-authenticate"] == 'Bearer realm="opencode-relay"'
    assert (await wire.kept(login)).status is Status.PENDING


async def test_a_verifier_is_required_even_of_a_login_that_is_not_there(wire: Wire) -> None:
    check_problem(await wire.http.get("/v1/logins/x/response"), 401, "verifier-required")


@pytest.mark.parametrize("verifier", ["v" * 43, "-._~" * 32])
async def test_a_verifier_may_be_all_that_pkce_allows(wire: Wire, verifier: str) -> None:
    login = await wire.open(collect_challenge=challenge_of(verifier))
    answer = await wire.collect(login, **bearer(verifier))
    assert waits(answer, "pending", "8")


async def test_the_scheme_is_read_in_any_case(wire: Wire) -> None:
    login = await wire.open()
    answer = await wire.collect(login, Authorization=f"bEARER {login.verifier}")
    assert answer.status_code == 202
