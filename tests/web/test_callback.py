"""The IdP's redirect: every line of the callback's table, by GET and by form_post."""

from urllib.parse import urlencode

import httpx
import jwt
import pytest
from opencode_relay.keys.key import Purpose
from opencode_relay.login import Status

from tests.support.clock import Clock
from tests.support.wire import (
    Opened,
    Wire,
    check_page,
    completion_code_of,
    form_of,
)

MALFORMED = (400, "This answer cannot be used")
UNKNOWN = (400, "This sign-in is not known here")
EXPIRED = (410, "This sign-in has expired")
OVER = (409, "This sign-in is already over")
HELD = (409, "Another page of this sign-in shows the code")
DENIED = (409, "This sign-in was denied")
WRONG_ISSUER = (400, "This answer came from the wrong place")
CONFIRM = (200, "Allow this sign-in?")
COMPLETION = (200, "Type this code into the program")
NOT_SIGNED_IN = (200, "Not signed in")
FORM = "application/x-www-form-urlencoded"


async def get(wire: Wire, query: str) -> httpx.Response:
    return await wire.http.get(f"/auth/callback?{query}")


async def form_post(
    wire: Wire, body: str | bytes, media_type: str = FORM, query: str = ""
) -> httpx.Response:
    headers = {"Content-Type": media_type} if media_type else {}
    return await wire.http.post(f"/auth/callback{query}", content=body, headers=headers)


async def unchanged(wire: Wire, login: Opened) -> bool:
    kept = await wire.kept(login)
    return kept.status is Status.PENDING and kept.arrived_at is None


# What is malformed touches no login

QUERIES = {
    "nothing": "",
    "no state": "code=c",
    "empty state": "state=&code=c",
    "neither code nor error": "state={s}",
    "both code and error": "state={s}&code=c&error=access_denied",
    "empty code": "state={s}&code=",
    "empty error": "state={s}&error=",
    "code twice": "state={s}&code=c&code=c",
    "state twice": "state={s}&state={s}&code=c",
    "another parameter twice": "state={s}&code=c&iss=a&iss=b",
    "an empty one twice": "state={s}&code=c&iss=&iss=",
    "escaped bytes that are no UTF-8": "state={s}&code=%FF",
    "more than 8 KiB": "state={s}&code=" + "c" * 8192,
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_malformed_query_is_400(wire: Wire, query: str) -> None:
    login = await wire.open()
    check_page(await get(wire, query.format(s=login.state)), *MALFORMED)
    assert await unchanged(wire, login)


async def test_raw_bytes_that_are_no_utf8_are_400(wire: Wire) -> None:
    login = await wire.open()
    body = f"state={login.state}&code=".encode() + b"\xff"
    check_page(await form_post(wire, body), *MALFORMED)
    assert await unchanged(wire, login)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_malformed_form_is_400(wire: Wire, query: str) -> None:
    login = await wire.open()
    check_page(await form_post(wire, query.format(s=login.state)), *MALFORMED)
    assert await unchanged(wire, login)


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data", ""])
async def test_a_post_that_is_no_form_is_400(wire: Wire, media_type: str) -> None:
    login = await wire.open()
    body = urlencode({"state": login.state, "code": "c"})
    check_page(await form_post(wire, body, media_type), *MALFORMED)
    assert await unchanged(wire, login)


@pytest.mark.parametrize("query", ["?x=1", "?code=c"])
async def test_a_post_with_a_query_is_400(wire: Wire, query: str) -> None:
    login = await wire.open()
    body = urlencode({"state": login.state, "code": "c"})
    check_page(await form_post(wire, body, query=query), *MALFORMED)
    assert await unchanged(wire, login)


async def test_exactly_8_kib_are_taken(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    query = f"state={login.state}&code="
    query += "c" * (8192 - len(query))
    check_page(await get(wire, query), *COMPLETION)


# The state


async def test_a_forged_state_is_unknown(wire: Wire) -> None:
    login = await wire.open()
    tail = "A" if login.state[-5] != "A" else "B"
    forged = login.state[:-5] + tail + login.state[-4:]
    check_page(await get(wire, f"state={forged}&code=c"), *UNKNOWN)
    assert await unchanged(wire, login)


FOREIGN = [
    "x",
    "a.b.c",
    "é",
    "x" * 3000,
    "..",
    "eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QiLCJhbGciOiJIUzI1NiJ9..",
]


@pytest.mark.parametrize("state", FOREIGN)
async def test_a_foreign_state_is_unknown(wire: Wire, state: str) -> None:
    check_page(await get(wire, urlencode({"state": state, "code": "c"})), *UNKNOWN)


async def signed(
    wire: Wire, login: Opened, header: dict[str, object], claims: dict[str, object]
) -> httpx.Response:
    """Come back with a state that is signed with the relay's own key, but otherwise written."""
    key = wire.keys.ring.in_use(Purpose.STATE, wire.clock())
    known = jwt.decode(login.state, options={"verify_signature": False})
    written = {name: value for name, value in (known | claims).items() if value is not None}
    typ = {"typ": "login-state+jwt", "kid": key.kid} | header
    kept = {name: value for name, value in typ.items() if value is not None}
    algorithm = str(kept.pop("alg", "HS256"))
    token = jwt.encode(written, key.symmetric, algorithm, kept, sort_headers=False)
    return await get(wire, urlencode({"state": token, "code": "c"}))


HEADERS: dict[str, dict[str, object]] = {
    "another typ": {"typ": "JWT"},
    "the form's typ": {"typ": "login-confirm+jwt"},
    "an unknown kid": {"kid": "nobody"},
    "no kid": {"kid": None},
    "another alg": {"alg": "HS512"},
}
CLAIMS: dict[str, dict[str, object]] = {
    "another relay": {"iss": "https://other.example"},
    "another aud": {"aud": "login-confirm"},
    "no iss": {"iss": None},
    "no aud": {"aud": None},
    "no jti": {"jti": None},
    "no exp": {"exp": None},
    "no iat": {"iat": None},
}


@pytest.mark.filterwarnings("ignore:The HMAC key")
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_a_state_with_another_header_is_unknown(
    wire: Wire, header: dict[str, object]
) -> None:
    login = await wire.open()
    check_page(await signed(wire, login, header, {}), *UNKNOWN)
    assert await unchanged(wire, login)


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
async def test_a_state_with_another_claim_is_unknown(wire: Wire, claims: dict[str, object]) -> None:
    login = await wire.open()
    check_page(await signed(wire, login, {}, claims), *UNKNOWN)
    assert await unchanged(wire, login)


async def test_the_same_state_written_again_is_known(wire: Wire) -> None:
    login = await wire.open()
    check_page(await signed(wire, login, {}, {}), *CONFIRM)


async def test_the_confirm_pages_token_is_no_state(wire: Wire) -> None:
    login = await wire.open()
    token = form_of(await wire.callback(login))["token"]
    check_page(await get(wire, urlencode({"state": token, "code": "c"})), *UNKNOWN)


# Expired, over


async def test_an_expired_login_is_410(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    clock.advance(599)
    check_page(await wire.callback(login), *CONFIRM)
    clock.advance(1)
    check_page(await wire.callback(login), *EXPIRED)


async def test_a_forged_state_is_told_before_an_expired_one(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    clock.advance(600)
    check_page(await get(wire, f"state={login.state[:-9]}AAAAAAAAA&code=c"), *UNKNOWN)


async def test_a_released_login_is_over(wire: Wire) -> None:
    check_page(await wire.callback(await wire.released()), *OVER)


async def test_a_cancelled_login_is_over(wire: Wire) -> None:
    login = await wire.open()
    await wire.finish(login)
    check_page(await wire.callback(login), *OVER)


async def test_a_declined_login_is_said_to_be_denied(wire: Wire) -> None:
    login = await wire.open()
    await wire.press(await wire.callback(login), "deny")
    check_page(await wire.callback(login), *DENIED)


async def test_a_login_that_is_no_longer_known_is_over(wire: Wire) -> None:
    login = await wire.open()
    with wire.store._db:
        wire.store._db.execute("DELETE FROM logins")
    check_page(await wire.callback(login), *OVER)


async def test_another_answer_to_a_held_login_is_told_where_the_code_is(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    code = completion_code_of(await wire.callback(login, code="one"))
    for second in ({"code": "two"}, {"error": "access_denied"}, {"code": "one", "scope": "x"}):
        answer = await wire.callback(login, **second)
        check_page(answer, *HELD)
        assert code not in answer.text
        assert "Allow" not in answer.text
    assert (await wire.complete(login, code)).status_code == 204
    assert (await wire.collected(login))["code"] == "one"


# RFC 9207


@pytest.mark.parametrize("iss", ["https://evil.example", "https://idp.example/", ""])
async def test_another_issuer_is_400_and_changes_nothing(wire: Wire, iss: str) -> None:
    login = await wire.open(idp_issuer="https://idp.example")
    check_page(await wire.callback(login, code="c", iss=iss), *WRONG_ISSUER)
    assert await unchanged(wire, login)


async def test_a_missing_issuer_is_400_where_one_is_expected(wire: Wire) -> None:
    login = await wire.open(idp_issuer="https://idp.example")
    check_page(await wire.callback(login), *WRONG_ISSUER)
    check_page(await wire.callback(login, error="access_denied"), *WRONG_ISSUER)
    assert await unchanged(wire, login)


async def test_the_right_issuer_goes_on(wire: Wire) -> None:
    login = await wire.open(idp_issuer="https://idp.example")
    check_page(await wire.callback(login, code="c", iss="https://idp.example"), *CONFIRM)


async def test_over_is_told_before_the_wrong_issuer(wire: Wire) -> None:
    login = await wire.open(idp_issuer="https://idp.example")
    await wire.finish(login)
    check_page(await wire.callback(login), *OVER)
