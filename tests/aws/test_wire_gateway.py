"""What only API Gateway's events bring about: base64, joined headers, HEAD, the 30 seconds."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from opencode_relay.keys.key import Purpose
from opencode_relay.login import Status

from tests.aws.ric import LIMIT
from tests.aws.ric_gateway import MAX_HEAD, to_event
from tests.aws.ric_wire import LambdaWire
from tests.aws.tap import Call, Fault, Tap
from tests.support.wire import (
    RETURN_URL,
    SAME_ORIGIN,
    MakeWire,
    bearer,
    check_page,
    check_problem,
    form_of,
)

CONFIRM = (200, "Allow this sign-in?")
MALFORMED = (400, "This answer cannot be used")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SLOW = 3.5  # seconds: beyond a function's patience with DynamoDB


def event_of(
    wire: LambdaWire, method: str, path: str, body: str | None = None, **headers: str
) -> dict[str, Any]:
    """Make an event by hand, so that its body can be what API Gateway would not send."""
    request = httpx.Request(method, f"{wire.relay.issuer}{path}", headers=headers)
    route = wire.functions.route(method, request.url.path)
    event = to_event(request, b"", route, request.url.path, "203.0.113.7")
    return event if body is None else {**event, "body": body, "isBase64Encoded": True}


async def invoke(wire: LambdaWire, function: str, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await asyncio.to_thread(wire.functions.invoke, function, event, LIMIT)
    return answer


async def test_a_form_post_comes_in_base64(wire: LambdaWire) -> None:
    login = await wire.open()
    body = urlencode({"state": login.state, "code": "c ö&="}).encode()
    request = httpx.Request("POST", f"{wire.relay.issuer}/auth/callback", headers=FORM)
    assert to_event(request, body, "", "/", "")["isBase64Encoded"]
    page = await wire.http.post("/auth/callback", content=body, headers=FORM)
    check_page(page, *CONFIRM)
    await wire.press(page, "allow", login.pairing_code)
    assert await wire.collected(login) == {"code": "c ö&="}


@pytest.mark.parametrize("body", ["!", "abc", "=", "é"])
async def test_a_broken_base64_body_is_400(wire: LambdaWire, body: str) -> None:
    login = await wire.open()
    event = event_of(wire, "POST", "/auth/callback", body, **FORM)
    answer = await invoke(wire, "CallbackFunction", event)
    assert answer["statusCode"] == 400
    event = event_of(wire, "POST", "/v1/logins", body, **{"Content-Type": "application/json"})
    assert (await invoke(wire, "LoginsFunction", event))["statusCode"] in {400, 401}
    assert (await wire.kept(login)).status is Status.PENDING


async def test_duplicate_parameters_stay_duplicate(wire: LambdaWire) -> None:
    login = await wire.open()
    query = f"state={login.state}&code=a&code=b"
    check_page(await wire.http.get(f"/auth/callback?{query}"), *MALFORMED)
    check_page(
        await wire.http.post("/auth/callback", content=query.encode(), headers=FORM), *MALFORMED
    )
    assert (await wire.kept(login)).status is Status.PENDING


async def test_a_comma_in_a_parameter_is_one_parameter(wire: LambdaWire) -> None:
    login = await wire.open()
    page = await wire.callback(login, code="a,b", scope="x,y z")
    await wire.press(page, "allow", login.pairing_code)
    assert await wire.collected(login) == {"code": "a,b", "scope": "x,y z"}


async def test_joined_headers_are_refused_like_repeated_ones(wire: LambdaWire) -> None:
    login = await wire.open()
    twice = [("Authorization", f"Bearer {login.verifier}")] * 2
    check_problem(
        await wire.http.get(f"{login.path}/response", headers=twice), 401, "verifier-required"
    )
    page = await wire.callback(login)
    form = form_of(page) | {"decision": "deny", "pairing_code": ""}
    sites = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
    answer = await wire.http.post("/auth/confirm", data=form, headers=[*sites, *FORM.items()])
    assert answer.status_code == 403
    assert (await wire.kept(login)).status is Status.PENDING


async def test_a_decision_is_a_303_with_a_relative_location(wire: LambdaWire) -> None:
    login = await wire.open()
    answer = await wire.press(await wire.callback(login), "deny")
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/declined")
    assert "content-type" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_head_is_405_without_a_body_and_touches_nothing(wire: LambdaWire) -> None:
    login = await wire.open()
    path = f"/auth/callback?{urlencode({'state': login.state, 'error': 'access_denied'})}"
    answer = await invoke(wire, "CallbackFunction", event_of(wire, "HEAD", path))
    assert (answer["statusCode"], answer["body"]) == (405, "")
    assert (await wire.kept(login)).status is Status.PENDING


async def test_204_has_neither_body_nor_type(wire: LambdaWire) -> None:
    answer = await wire.finish(await wire.open())
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


async def test_what_the_protocol_allows_fits_through_the_gateway(wire: LambdaWire) -> None:
    """8 KiB of parameters beside a browser's headers; a redirect's 7,500 bytes likewise."""
    login = await wire.open()
    query = f"state={login.state}&code="
    query += "c" * (8192 - len(query))
    browser = {"User-Agent": "Mozilla/5.0 " + "x" * 200, "Accept": "text/html," + "x" * 800}
    page = await wire.http.get(f"/auth/callback?{query}", headers=browser)
    check_page(page, *CONFIRM)
    answer = await wire.http.get(f"/auth/callback?{'c' * MAX_HEAD}", headers=browser)
    assert answer.status_code == 431


async def test_the_longest_form_passes(wire: LambdaWire) -> None:
    login = await wire.open()
    body = {"state": login.state, "code": "c" * (8192 - len(login.state) - 12)}
    page = await wire.http.post("/auth/callback", data=body)
    check_page(page, *CONFIRM)
    form = form_of(page) | {"decision": "allow", "pairing_code": login.pairing_code}
    assert (await wire.http.post("/auth/confirm", data=form, headers=SAME_ORIGIN)).is_redirect


async def test_a_redirect_login_goes_on_with_the_browser(wire: LambdaWire) -> None:
    login = await wire.open(delivery="redirect", return_url=RETURN_URL)
    page = await wire.callback(login)
    check_page(page, 200, "Signing you in")
    found = re.search(r"response=([\w.-]+)", page.text)
    assert found
    assert wire.unseal(login, found[1]) == {"code": "c0de"}
    assert (await wire.kept(login)).response is None


# Waiting


async def test_a_release_by_another_function_ends_the_wait(make_wire: MakeWire, tap: Tap) -> None:
    wire = make_wire(max_wait=20)
    await wire.enrol()
    login = await wire.open()
    page = await wire.callback(login)
    waiting = asyncio.create_task(wire.collect(login, 20))
    await tap.asked("collect", "GetItem", login.id, 2)  # at the start, and as the waiter
    assert not waiting.done()
    await wire.press(page, "allow", login.pairing_code)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "released")


async def test_the_longest_wait_ends_before_the_gateway_cuts_it(
    make_wire: MakeWire, tap: Tap
) -> None:
    """Even where DynamoDB takes as long for each read as a function lets it."""
    wire = make_wire(max_wait=25, enrolment="open")
    login = await wire.open(name="x")
    with tap.faulty(Fault(late=0.8), "GetItem"):
        answer = await wire.collect(login, 25)
    assert (answer.status_code, answer.json()) == (202, {"status": "pending"})


async def test_a_store_that_fails_at_the_end_of_the_longest_wait_is_told_in_time(
    make_wire: MakeWire, tap: Tap
) -> None:
    wire = make_wire(max_wait=25, enrolment="open")
    login = await wire.open(name="x")
    reads = 0

    def at_the_end(call: Call) -> Fault | None:
        nonlocal reads
        reads += call.action == "GetItem"
        return Fault(late=SLOW) if reads > 5 else None  # two at first, one in 8 s, one at the end

    tap.resumed.clear()
    tap.fault = at_the_end
    check_problem(await wire.collect(login, 25), 503, "unavailable")
    assert reads > 5


async def test_a_wait_without_a_store_is_503_and_says_when_to_come_back(
    wire: LambdaWire, tap: Tap
) -> None:
    login = await wire.open()
    with tap.faulty(Fault(late=SLOW), "GetItem"):
        answer = await wire.collect(login, 20)
    check_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


# Snapshots and keys


async def test_keys_are_read_after_the_restore(wire: LambdaWire, tap: Tap) -> None:
    """A ring that was replaced while the snapshot lay there is the one that is used."""
    before = len(tap.calls)
    environment = wire.functions.start("CallbackFunction", snapshot=True)
    try:
        await asyncio.to_thread(environment.started)
        assert not [c for c in tap.calls[before:] if c.function == "callback"]
        ring = wire.keyfile.replace_all()
        environment.restore()
        event = event_of(wire, "GET", "/.well-known/jwks.json")
        answer = await asyncio.to_thread(environment.invoke, event)
        assert json.loads(answer["body"]) == ring.jwks()
        asked = [c for c in tap.calls[before:] if c.function == "callback"]
        assert [c.action for c in asked] == ["GetParameters"]
    finally:
        environment.close()


async def test_an_unknown_key_id_is_looked_for_once_a_minute_and_the_old_ring_stays(
    wire: LambdaWire, tap: Tap
) -> None:
    login = await wire.open()
    wire.functions.stop()
    header = '{"typ":"login-state+jwt","alg":"HS256","kid":"nobody"}'
    stray = ".".join([_base64(header), *login.state.split(".")[1:]])
    await wire.callback(login)

    def looked() -> int:
        return sum(c.function == "callback" and c.action == "GetParameters" for c in tap.calls)

    before = looked()
    with tap.faulty(Fault(400, "AccessDeniedException"), "GetParameters"):
        for _ in range(5):
            answer = await wire.http.get("/auth/callback", params={"state": stray, "code": "c"})
            assert answer.status_code == 400
        assert looked() == before + 1
        wire.clock.advance(60)
        await wire.http.get("/auth/callback", params={"state": stray, "code": "c"})
        assert looked() == before + 2
        check_page(await wire.callback(login), *CONFIRM)


def _base64(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def test_a_rotated_key_is_published_by_functions_that_are_running(
    wire: LambdaWire,
) -> None:
    """The ring that signs is the first; the second is published as soon as it is read."""
    login = await wire.open()
    ring = wire.keyfile.rotate()
    wire.keys.refresh()
    published = (await wire.http.get("/.well-known/jwks.json")).json()
    assert [k["kid"] for k in published["keys"]] == [
        k.kid for k in ring.keys if k.purpose is Purpose.RESPONSE
    ]
    page = await wire.callback(login)
    await wire.press(page, "allow", login.pairing_code)
    assert await wire.collected(login) == {"code": "c0de"}
    sent = await wire.http.get(f"{login.path}/response", headers=bearer(login.verifier))
    assert sent.status_code == 200
