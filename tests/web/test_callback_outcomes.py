"""What a good callback leads to, by the way in which the login is confirmed."""

import asyncio
import html
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from opencode_relay.login import Status

from tests.support.clock import Clock
from tests.support.wire import (
    RETURN_URL,
    Opened,
    Wire,
    check_page,
    completion_code_of,
    form_of,
)

CONFIRM = (200, "Allow this sign-in?")
COMPLETION = (200, "Type this code into the program")
ONWARD = (200, "Signing you in")
NOT_SIGNED_IN = (200, "Not signed in")
PARAMS = {
    "code": "a+b /&=%",
    "iss": "https://idp.example",
    "scope": "openid profile",
    "session_state": "é",
    "empty": "",
}


async def redirecting(wire: Wire, **members: str) -> Opened:
    return await wire.open(delivery="redirect", return_url=RETURN_URL, **members)


# pairing_code


async def test_a_code_leads_to_the_confirm_page(wire: Wire) -> None:
    check_page(await wire.callback(await wire.open()), *CONFIRM)


async def test_the_confirm_page_leaves_only_a_time_behind(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    before = await wire.kept(login)
    clock.advance(5)
    await wire.callback(login)
    after = await wire.kept(login)
    assert after.arrived_at == clock()
    assert [after.status, after.response, after.fingerprint] == [Status.PENDING, None, None]
    assert after.expires_at == before.expires_at


async def test_a_reload_shows_the_confirm_page_again(wire: Wire) -> None:
    login = await wire.open()
    one, two = await wire.callback(login), await wire.callback(login)
    check_page(two, *CONFIRM)
    assert form_of(one)["token"] != form_of(two)["token"]


async def test_the_page_holds_neither_code_nor_pairing_code_nor_state(wire: Wire) -> None:
    login = await wire.open()
    page = (await wire.callback(login, code="the-readable-code")).text
    for secret in ("the-readable-code", login.pairing_code, login.state):
        assert secret not in page


async def test_the_page_names_the_instance_and_its_own_words(wire: Wire) -> None:
    page = (await wire.callback(await wire.open(name="ana's box", provider="Example ID"))).text
    for shown in ("workshop", "ana&#39;s box", "Example ID", "203.0.113.7"):
        assert shown in page


async def test_form_post_does_as_get(wire: Wire) -> None:
    login = await wire.open()
    answer = await wire.http.post("/auth/callback", data={"state": login.state, "code": "c"})
    check_page(answer, *CONFIRM)


async def test_form_post_may_name_its_charset(wire: Wire) -> None:
    login = await wire.open()
    answer = await wire.http.post(
        "/auth/callback",
        content=urlencode({"state": login.state, "code": "c"}),
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"},
    )
    check_page(answer, *CONFIRM)


# All parameters go on as they came


@pytest.mark.parametrize("members", [{}, {"confirmation": "completion_code"}])
async def test_all_parameters_but_the_state_reach_the_instance(
    wire: Wire, members: dict[str, str]
) -> None:
    login = await wire.open(**members)
    page = await wire.callback(login, **PARAMS)
    if members:
        await wire.complete(login, completion_code_of(page))
    else:
        await wire.press(page, "allow", login.pairing_code)
    assert await wire.collected(login) == PARAMS


# completion_code


async def test_a_code_is_held_until_the_completion_code_is_typed(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    check_page(await wire.callback(login), *COMPLETION)
    answer = await wire.collect(login)
    assert (answer.status_code, answer.json()) == (202, {"status": "held"})


async def test_the_same_parameters_show_the_same_code_again(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    one, two = [await wire.callback(login) for _ in range(2)]
    check_page(two, *COMPLETION)
    assert completion_code_of(one) == completion_code_of(two)


async def test_two_logins_have_two_completion_codes(wire: Wire) -> None:
    pages = [await wire.callback(await wire.open(confirmation="completion_code")) for _ in range(2)]
    assert len({completion_code_of(page) for page in pages}) == 2


async def test_the_completion_code_is_not_stored(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    code = completion_code_of(await wire.callback(login))
    rows = wire.store._db.execute("SELECT * FROM logins").fetchall()
    assert code not in str([tuple(row) for row in rows])


async def test_of_two_callbacks_at_once_one_wins(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    answers = await asyncio.gather(*(wire.callback(login, code=c) for c in "ab"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


# redirect


def address_of(page: httpx.Response) -> str:
    [address] = re.findall('<meta http-equiv="refresh" content="0;url=([^"]*)">', page.text)
    [link] = re.findall('<a href="([^"]*)">', page.text)
    assert address == link
    return html.unescape(address)


async def test_redirect_goes_on_by_a_page_not_by_a_3xx(wire: Wire) -> None:
    page = await wire.callback(await redirecting(wire))
    check_page(page, *ONWARD)
    assert address_of(page).partition("?")[0] == RETURN_URL


async def test_redirect_carries_the_sealed_response_only(wire: Wire) -> None:
    login = await redirecting(wire)
    query = parse_qs(urlsplit(address_of(await wire.callback(login, **PARAMS))).query)
    assert list(query) == ["response"]
    assert wire.unseal(login, query["response"][0]) == PARAMS


async def test_redirect_stores_nothing(wire: Wire) -> None:
    login = await redirecting(wire)
    before = await wire.kept(login)
    await wire.callback(login)
    assert await wire.kept(login) == before


async def test_redirect_sends_a_second_callback_on_too(wire: Wire) -> None:
    login = await redirecting(wire)
    await wire.callback(login)
    check_page(await wire.callback(login, code="another"), *ONWARD)


async def test_redirect_carries_an_error_too(wire: Wire) -> None:
    login = await redirecting(wire)
    address = address_of(await wire.callback(login, error="access_denied"))
    sealed = parse_qs(urlsplit(address).query)["response"][0]
    assert wire.unseal(login, sealed) == {"error": "access_denied"}


async def test_redirect_after_its_end_is_over(wire: Wire) -> None:
    login = await redirecting(wire)
    await wire.finish(login)
    assert (await wire.callback(login)).status_code == 409


async def test_redirect_to_an_address_over_7500_bytes_is_400(wire: Wire) -> None:
    login = await redirecting(wire)
    # Sign and encrypt: base64 twice makes of 3,000 bytes some 6,000, of 4,500 some 8,600.
    fits = address_of(await wire.callback(login, code="c" * 3000))
    assert 5000 < len(fits) <= 7500
    check_page(await wire.callback(login, code="c" * 4500), 400, "This answer is too long")


# error


@pytest.mark.parametrize("members", [{}, {"confirmation": "completion_code"}])
async def test_an_error_is_released_at_once(wire: Wire, members: dict[str, str]) -> None:
    login = await wire.open(**members)
    sent = {"error": "access_denied", "error_description": "Ana said no"}
    check_page(await wire.callback(login, **sent), *NOT_SIGNED_IN)
    assert await wire.collected(login) == sent


async def test_the_errors_description_is_not_shown(wire: Wire) -> None:
    page = await wire.callback(
        await wire.open(), error="access_denied", error_description="Call 555-0100 now"
    )
    assert "555-0100" not in page.text


async def test_an_unknown_error_is_not_shown_either(wire: Wire) -> None:
    page = await wire.callback(await wire.open(), error="call_555_0100")
    check_page(page, *NOT_SIGNED_IN)
    assert "555_0100" not in page.text


async def test_an_error_does_not_replace_a_held_response(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    code = completion_code_of(await wire.callback(login))
    assert (await wire.callback(login, error="access_denied")).status_code == 409
    await wire.complete(login, code)
    assert "code" in await wire.collected(login)


async def test_an_error_and_a_code_at_once_make_one_answer(wire: Wire) -> None:
    login = await wire.open(confirmation="completion_code")
    answers = await asyncio.gather(wire.callback(login, error="x"), wire.callback(login))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
