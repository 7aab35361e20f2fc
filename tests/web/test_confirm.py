"""The confirm page's form: the typed pairing code, the two buttons, and who may press them."""

import asyncio

import httpx
import jwt
import pytest
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import HEAD_START
from opencode_relay.login import Status

from tests.support.clock import Clock
from tests.support.wire import (
    ISSUER,
    SAME_ORIGIN,
    WRONG_CODE,
    Opened,
    Wire,
    check_page,
    form_of,
)

NOT_GENUINE = (403, "This form is not genuine")
NOT_SAME_ORIGIN = (403, "This form did not come from this relay")
MALFORMED = (400, "This form cannot be used")
OVER = (409, "This sign-in is already over")
DENIED = (409, "This sign-in was denied")
EXPIRED = (410, "This sign-in has expired")
AGAIN = (422, "Allow this sign-in?")
FORM = "application/x-www-form-urlencoded"


async def arrived(wire: Wire) -> tuple[Opened, httpx.Response]:
    login = await wire.open()
    return login, await wire.callback(login)


async def is_pending(wire: Wire, login: Opened) -> bool:
    return (await wire.kept(login)).status is Status.PENDING


def sent_on(answer: httpx.Response, path: str) -> bool:
    return (answer.status_code, answer.headers.get("location")) == (303, path)


async def test_allow_with_the_right_code_releases(wire: Wire) -> None:
    login, page = await arrived(wire)
    assert sent_on(await wire.press(page, "allow", login.pairing_code), "/auth/done")
    assert (await wire.collected(login)) == {"code": "c0de"}


async def test_deny_needs_no_code(wire: Wire) -> None:
    login, page = await arrived(wire)
    assert sent_on(await wire.press(page, "deny"), "/auth/declined")
    assert (await wire.kept(login)).status is Status.DECLINED


async def test_a_declined_login_loses_its_keys_at_once(wire: Wire) -> None:
    login, page = await arrived(wire)
    await wire.press(page, "deny")
    kept = await wire.kept(login)
    assert [kept.encryption_key, kept.pairing_hash, kept.response] == [None, None, None]


@pytest.mark.parametrize("path", ["done", "declined"])
async def test_the_pages_after_the_decision_are_there(wire: Wire, path: str) -> None:
    assert (await wire.http.get(f"/auth/{path}")).status_code == 200


# The pairing code


@pytest.mark.parametrize("code", [WRONG_CODE, "", "x", "é", "0" * 5000])
async def test_a_wrong_code_shows_the_same_page_and_changes_nothing(wire: Wire, code: str) -> None:
    login, page = await arrived(wire)
    again = await wire.press(page, "allow", code)
    check_page(again, *AGAIN)
    assert form_of(again) == form_of(page)
    assert await is_pending(wire, login)


async def test_a_missing_code_is_a_wrong_one(wire: Wire) -> None:
    login, page = await arrived(wire)
    form = form_of(page) | {"decision": "allow"}
    check_page(await wire.http.post("/auth/confirm", data=form, headers=SAME_ORIGIN), *AGAIN)
    assert await is_pending(wire, login)


async def test_the_code_of_another_login_is_a_wrong_one(wire: Wire) -> None:
    other, (_, page) = await wire.open(), await arrived(wire)
    check_page(await wire.press(page, "allow", other.pairing_code), *AGAIN)


async def test_the_right_code_works_after_wrong_ones(wire: Wire) -> None:
    login, page = await arrived(wire)
    for _ in range(10):
        page = await wire.press(page, "allow", WRONG_CODE)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303


def mangled(code: str) -> list[str]:
    look_alike = code.replace("0", "O").replace("1", "I")
    return [code.lower(), code.replace("-", ""), f" {code} ", " ".join(code), look_alike]


async def test_case_dashes_spaces_and_look_alikes_are_forgiven(wire: Wire) -> None:
    for way in range(5):
        login, page = await arrived(wire)
        typed = mangled(login.pairing_code)[way]
        assert (await wire.press(page, "allow", typed)).status_code == 303, typed


# Twice, the other way, too late


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_the_same_rendering_pressed_twice_is_the_same_answer(
    wire: Wire, decision: str
) -> None:
    login, page = await arrived(wire)
    one, two = [await wire.press(page, decision, login.pairing_code) for _ in range(2)]
    assert one.status_code == two.status_code == 303
    assert one.headers["location"] == two.headers["location"]


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_two_presses_at_once_are_the_same_answer(wire: Wire, decision: str) -> None:
    login, page = await arrived(wire)
    presses = [wire.press(page, decision, login.pairing_code) for _ in range(2)]
    assert [answer.status_code for answer in await asyncio.gather(*presses)] == [303, 303]


@pytest.mark.parametrize(("first", "then"), [("allow", "deny"), ("deny", "allow")])
async def test_the_other_decision_afterwards_is_409(wire: Wire, first: str, then: str) -> None:
    login, page = await arrived(wire)
    await wire.press(page, first, login.pairing_code)
    said = DENIED if first == "deny" else OVER
    check_page(await wire.press(page, then, login.pairing_code), *said)


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_another_rendering_afterwards_is_409(wire: Wire, decision: str) -> None:
    login, page = await arrived(wire)
    second_tab = await wire.callback(login)
    await wire.press(page, decision, login.pairing_code)
    said = DENIED if decision == "deny" else OVER
    check_page(await wire.press(second_tab, decision, login.pairing_code), *said)


async def test_a_cancelled_login_is_409(wire: Wire) -> None:
    login, page = await arrived(wire)
    await wire.finish(login)
    check_page(await wire.press(page, "allow", login.pairing_code), *OVER)


async def test_an_expired_login_is_410(wire: Wire, clock: Clock) -> None:
    login, page = await arrived(wire)
    clock.advance(600)
    check_page(await wire.press(page, "allow", login.pairing_code), *EXPIRED)
    check_page(await wire.press(page, "deny"), *EXPIRED)


@pytest.mark.parametrize("decision", ["", "Allow", "both"])
async def test_any_other_decision_is_400(wire: Wire, decision: str) -> None:
    login, page = await arrived(wire)
    check_page(await wire.press(page, decision, login.pairing_code), *MALFORMED)
    assert await is_pending(wire, login)


async def test_a_login_goes_on_while_new_keys_come_into_use(wire: Wire, clock: Clock) -> None:
    wire.keyfile.rotate()
    wire.keys.refresh()
    clock.advance(HEAD_START - 1)
    login, page = await arrived(wire)
    clock.advance(2)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    assert await wire.collected(login) == {"code": "c0de"}


# The token


async def test_the_token_binds_the_sealed_response(wire: Wire) -> None:
    login, page = await arrived(wire)
    form = form_of(page)
    other = form_of(await wire.callback(login, code="the-attackers"))
    data = form | {"response": other["response"], "decision": "allow"}
    data["pairing_code"] = login.pairing_code
    answer = await wire.http.post("/auth/confirm", data=data, headers=SAME_ORIGIN)
    check_page(answer, *NOT_GENUINE)
    assert await is_pending(wire, login)


@pytest.mark.parametrize("field", ["token", "response"])
async def test_a_missing_field_is_403(wire: Wire, field: str) -> None:
    login, page = await arrived(wire)
    form = form_of(page) | {"decision": "allow", "pairing_code": login.pairing_code}
    del form[field]
    answer = await wire.http.post("/auth/confirm", data=form, headers=SAME_ORIGIN)
    check_page(answer, *NOT_GENUINE)


async def test_a_tampered_token_is_403(wire: Wire) -> None:
    login, page = await arrived(wire)
    form = form_of(page)
    form["token"] = form["token"][:-9] + "AAAAAAAAA"
    data = form | {"decision": "deny"}
    answer = await wire.http.post("/auth/confirm", data=data, headers=SAME_ORIGIN)
    check_page(answer, *NOT_GENUINE)
    assert await is_pending(wire, login)


async def test_a_state_is_no_token(wire: Wire) -> None:
    login, page = await arrived(wire)
    data = form_of(page) | {"token": login.state, "decision": "deny"}
    answer = await wire.http.post("/auth/confirm", data=data, headers=SAME_ORIGIN)
    check_page(answer, *NOT_GENUINE)


async def test_the_token_has_a_key_of_its_own(wire: Wire) -> None:
    _, page = await arrived(wire)
    kid = jwt.get_unverified_header(form_of(page)["token"])["kid"]
    assert kid == wire.keys.ring.in_use(Purpose.CONFIRM, wire.clock()).kid


# Who sent the form


GOOD: dict[str, dict[str, str]] = {
    "both": SAME_ORIGIN,
    "Sec-Fetch-Site alone": {"Sec-Fetch-Site": "same-origin"},
    "Origin alone, as where a proxy strips Sec-Fetch-*": {"Origin": ISSUER},
}
BAD: dict[str, dict[str, str]] = {
    "neither": {"X-Nothing": "1"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "none": {"Sec-Fetch-Site": "none"},
    "empty site": {"Sec-Fetch-Site": ""},
    "null origin": {"Origin": "null"},
    "empty origin": {"Origin": ""},
    "another origin": {"Origin": "https://evil.example"},
    "http origin": {"Origin": "http://relay.example"},
    "origin with a slash": {"Origin": f"{ISSUER}/"},
    "origin in capitals": {"Origin": ISSUER.upper()},
    "good site, null origin": {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    "good origin, cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": ISSUER},
}


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
async def test_the_relays_own_form_is_taken(wire: Wire, headers: dict[str, str]) -> None:
    login, page = await arrived(wire)
    answer = await wire.press(page, "allow", login.pairing_code, **headers)
    assert answer.status_code == 303


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD)
async def test_anybody_elses_form_is_403(wire: Wire, headers: dict[str, str]) -> None:
    login, page = await arrived(wire)
    for decision in ("allow", "deny"):
        answer = await wire.press(page, decision, login.pairing_code, **headers)
        check_page(answer, *NOT_SAME_ORIGIN)
    assert await is_pending(wire, login)


async def test_a_second_header_cannot_outvote_the_first(wire: Wire) -> None:
    login, page = await arrived(wire)
    sent = [("Origin", ISSUER), ("Origin", "https://evil.example"), ("Content-Type", FORM)]
    form = httpx.QueryParams(form_of(page) | {"decision": "deny"})
    answer = await wire.http.post("/auth/confirm", content=str(form), headers=sent)
    check_page(answer, *NOT_SAME_ORIGIN)
    assert await is_pending(wire, login)


# Size and form


async def post(wire: Wire, content: bytes, media_type: str = FORM) -> httpx.Response:
    headers = {**SAME_ORIGIN, "Content-Type": media_type}
    return await wire.http.post("/auth/confirm", content=content, headers=headers)


async def test_a_body_over_32_kib_is_413(wire: Wire) -> None:
    check_page(await post(wire, b"x" * 32768), *NOT_GENUINE)
    check_page(await post(wire, b"x" * 32769), 413, "This form is too large")


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data", "text/plain"])
async def test_no_form_is_400(wire: Wire, media_type: str) -> None:
    check_page(await post(wire, b"decision=deny", media_type), *MALFORMED)


@pytest.mark.parametrize("body", [b"token=a&token=b", b"decision=allow&decision=deny", b"a=%FF"])
async def test_a_field_given_twice_or_no_utf8_is_400(wire: Wire, body: bytes) -> None:
    check_page(await post(wire, body), *MALFORMED)


async def test_the_form_fits_what_it_must_carry(wire: Wire) -> None:
    login = await wire.open()
    page = await wire.callback(login, code="c" * 7000)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    assert await wire.collected(login) == {"code": "c" * 7000}
