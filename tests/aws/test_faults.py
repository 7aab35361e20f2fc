"""When AWS fails: clear answers, and no code that is lost, or delivered twice."""

import asyncio

import httpx
import pytest
from opencode_relay.login import Status

from tests.aws.ric_wire import LambdaWire
from tests.aws.tap import FAILING, LOST, THROTTLED, Fault, Tap
from tests.support.wire import MakeWire, check_page, check_problem, completion_code_of

SLOW = Fault(late=3.5)  # seconds: beyond a function's patience
DENIED = Fault(400, "AccessDeniedException")
CANNOT = (503, "The relay cannot answer just now")
FAULTS = {"throttled": THROTTLED, "failing": FAILING, "slow": SLOW, "denied": DENIED}


def says_when(answer: httpx.Response) -> bool:
    return int(answer.headers["retry-after"]) > 0 and "the-secret" not in answer.text


# DynamoDB


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_every_step_says_to_try_again_and_then_works(
    wire: LambdaWire, tap: Tap, fault: Fault
) -> None:
    with tap.faulty(fault):
        answer = await wire.post(wire.body())
    check_problem(answer, 503, "unavailable")
    assert says_when(answer)
    login = await wire.open()
    with tap.faulty(fault):
        page = await wire.callback(login)
    check_page(page, *CANNOT)
    assert says_when(page)
    page = await wire.callback(login)
    with tap.faulty(fault):
        refused = await wire.press(page, "allow", login.pairing_code)
    check_page(refused, *CANNOT)
    assert says_when(refused)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    with tap.faulty(fault):
        answer = await wire.collect(login)
    check_problem(answer, 503, "unavailable")
    assert says_when(answer)
    assert await wire.collected(login) == {"code": "c0de"}


@pytest.mark.parametrize("fault", [THROTTLED, FAILING], ids=["throttled", "failing"])
async def test_one_bad_moment_is_not_even_noticed(wire: LambdaWire, tap: Tap, fault: Fault) -> None:
    login = await wire.open()
    with tap.faulty(fault, times=1):
        page = await wire.callback(login)
    with tap.faulty(fault, times=1):
        assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    with tap.faulty(fault, times=1):
        assert await wire.collected(login) == {"code": "c0de"}


async def test_a_release_whose_answer_was_lost_is_a_release(wire: LambdaWire, tap: Tap) -> None:
    """The retry meets its own write: the person is told the truth, that it was passed on."""
    login = await wire.open()
    page = await wire.callback(login)
    with tap.faulty(LOST, "UpdateItem", times=1):
        answer = await wire.press(page, "allow", login.pairing_code)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/done")
    assert await wire.collected(login) == {"code": "c0de"}


async def test_a_hold_whose_answer_was_lost_shows_its_code(wire: LambdaWire, tap: Tap) -> None:
    login = await wire.open(confirmation="completion_code")
    with tap.faulty(LOST, "UpdateItem", times=1):
        page = await wire.callback(login)
    assert (await wire.complete(login, completion_code_of(page))).status_code == 204
    assert await wire.collected(login) == {"code": "c0de"}


async def test_a_finish_whose_answer_was_lost_is_a_finish(wire: LambdaWire, tap: Tap) -> None:
    login = await wire.released()
    with tap.faulty(LOST, "UpdateItem", times=1):
        assert (await wire.finish(login)).status_code == 204
    assert (await wire.kept(login)).status is Status.FINISHED


async def test_an_opening_whose_answer_was_lost_can_be_used(wire: LambdaWire, tap: Tap) -> None:
    with tap.faulty(LOST, "PutItem", times=1):
        login = await wire.open()
    page = await wire.callback(login)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303


# Functions that die


async def test_a_function_killed_between_callback_and_collection_loses_nothing(
    wire: LambdaWire,
) -> None:
    login = await wire.released()
    wire.functions.stop()
    first = await wire.collect(login)
    wire.functions.stop()
    again = await wire.collect(login)
    assert first.status_code == 200
    assert first.content == again.content


async def test_a_page_outlives_the_function_that_made_it(wire: LambdaWire) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    wire.functions.stop()
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    assert await wire.collected(login) == {"code": "c0de"}


async def test_a_callback_killed_before_its_write_can_be_brought_again(
    wire: LambdaWire, tap: Tap
) -> None:
    login = await wire.open(confirmation="completion_code")
    with tap.faulty(Fault(late=60), "UpdateItem"):
        dying = asyncio.create_task(wire.callback(login))
        await tap.asked("callback", "UpdateItem", login.id)
        wire.functions.running.pop("CallbackFunction").close()
        assert (await dying).status_code == 500
    code = completion_code_of(await wire.callback(login))
    assert (await wire.complete(login, code)).status_code == 204
    assert await wire.collected(login) == {"code": "c0de"}


async def test_two_callbacks_in_two_functions_have_one_winner(
    wire: LambdaWire, make_wire: MakeWire
) -> None:
    """Two environments, two parties' codes: what is shown to one is never given for the other."""
    other = make_wire(enrolment="closed")  # as by default, in environments of its own
    login = await wire.open(confirmation="completion_code")
    mine, theirs = await asyncio.gather(
        wire.callback(login, code="mine"), other.callback(login, code="theirs")
    )
    pages = {"mine": mine, "theirs": theirs}
    won = [code for code, page in pages.items() if page.status_code == 200]
    assert sorted(page.status_code for page in pages.values()) == [200, 409]
    code = completion_code_of(pages[won[0]])
    assert (await wire.complete(login, code)).status_code == 204
    assert await wire.collected(login) == {"code": won[0]}


# Keys


@pytest.mark.parametrize("fault", [DENIED, FAILING, THROTTLED], ids=str)
async def test_keys_that_cannot_be_read_are_503_until_they_can(
    wire: LambdaWire, tap: Tap, fault: Fault
) -> None:
    login = await wire.open()
    wire.functions.stop()
    with tap.faulty(fault, "GetParameters"):
        page = await wire.callback(login)
        check_page(page, *CANNOT)
        assert says_when(page)
        answer = await wire.post(wire.body())
        check_problem(answer, 503, "unavailable")
        assert says_when(answer)
        check_problem(await wire.http.get("/healthz"), 503, "unavailable")
        assert (await wire.http.get("/.well-known/opencode-relay")).status_code == 200
    assert (await wire.callback(login)).status_code == 200
    assert (await wire.post(wire.body())).status_code == 201


async def test_a_missing_or_damaged_key_is_503(wire: LambdaWire, tap: Tap) -> None:
    login = await wire.open()
    for damage in ({}, {"/keys/state": "[]"}, {"/keys/state": "the-secret"}):
        wire.functions.stop()
        tap.parameters = {**tap.parameters, **damage} if damage else {}
        page = await wire.callback(login)
        check_page(page, *CANNOT)
        assert says_when(page)
        for environment in wire.functions.running.values():
            assert "the-secret" not in environment.log
