"""What happens between reading a login and writing it: somebody else was quicker."""

from collections.abc import Awaitable, Callable

import pytest
from opencode_relay.login import MAX_TRIES, Login, Status

from tests.support.clock import Clock
from tests.support.wire import (
    WRONG_CODE,
    Opened,
    Wire,
    check_problem,
    completion_code_of,
)

Quicker = Callable[[], Awaitable[object]]


@pytest.fixture
def before(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let something happen just before the store's next change, or its next counted try."""

    def arrange(quicker: Quicker, *, call: str = "apply") -> None:
        original = getattr(wire.store, call)

        async def interrupted(*values: object) -> object:
            monkeypatch.setattr(wire.store, call, original)
            await quicker()
            return await original(*values)

        monkeypatch.setattr(wire.store, call, interrupted)

    return arrange


Before = Callable[..., None]


async def status(wire: Wire, login: Opened) -> Status:
    return (await wire.kept(login)).status


async def test_an_error_that_comes_second_is_over(wire: Wire, before: Before) -> None:
    login = await wire.open()
    before(lambda: wire.callback(login, error="first"))
    assert (await wire.callback(login, error="second")).status_code == 409
    assert await wire.collected(login) == {"error": "first"}


async def test_a_code_that_comes_second_shows_no_code_of_the_first(
    wire: Wire, before: Before
) -> None:
    login = await wire.open(confirmation="completion_code")
    before(lambda: wire.callback(login, code="first"))
    assert (await wire.callback(login, code="second")).status_code == 409
    assert await status(wire, login) is Status.HELD


async def test_a_reload_that_comes_second_shows_the_same_code(wire: Wire, before: Before) -> None:
    login = await wire.open(confirmation="completion_code")
    shown: list[str] = []

    async def first() -> None:
        shown.append(completion_code_of(await wire.callback(login)))

    before(first)
    assert completion_code_of(await wire.callback(login)) == shown[0]


async def test_allow_after_deny_was_quicker_is_over(wire: Wire, before: Before) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    before(lambda: wire.press(page, "deny"))
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 409
    assert await status(wire, login) is Status.DECLINED


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_second_press_of_one_rendering_is_the_same_answer(
    wire: Wire, before: Before, decision: str
) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    before(lambda: wire.press(page, decision, login.pairing_code))
    assert (await wire.press(page, decision, login.pairing_code)).status_code == 303


async def test_allow_after_the_instance_cancelled_is_over(wire: Wire, before: Before) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    before(lambda: wire.finish(login))
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 409


async def held(wire: Wire) -> tuple[Opened, str]:
    login = await wire.open(confirmation="completion_code")
    return login, completion_code_of(await wire.callback(login))


async def test_the_right_code_after_a_cancel_was_quicker_is_410(wire: Wire, before: Before) -> None:
    login, code = await held(wire)
    before(lambda: wire.finish(login))  # after the try was counted, before the release
    check_problem(await wire.complete(login, code), 410, "login-cancelled")


async def test_the_right_code_twice_at_once_is_204_twice(wire: Wire, before: Before) -> None:
    login, code = await held(wire)
    before(lambda: wire.complete(login, code))
    assert (await wire.complete(login, code)).status_code == 204


async def test_no_try_is_left_when_others_used_them_up_in_between(
    wire: Wire, before: Before
) -> None:
    login, code = await held(wire)

    async def guess() -> None:
        for _ in range(MAX_TRIES):
            await wire.store.count_try(login.id, wire.clock())

    before(guess, call="count_try")
    check_problem(await wire.complete(login, code), 410, "login-cancelled")


async def test_a_right_code_counted_as_the_fifth_and_then_cancelled_is_410(
    wire: Wire, before: Before
) -> None:
    login, code = await held(wire)
    for _ in range(MAX_TRIES - 1):
        await wire.complete(login, WRONG_CODE)
    before(lambda: wire.complete(login, WRONG_CODE))
    check_problem(await wire.complete(login, code), 410, "login-cancelled")


async def test_a_cancel_after_a_release_was_quicker_finishes(wire: Wire, before: Before) -> None:
    login = await wire.open()
    before(lambda: wire.callback(login, error="access_denied"))
    assert (await wire.finish(login)).status_code == 204
    assert await status(wire, login) is Status.FINISHED


async def test_a_finish_after_another_finish_is_204(wire: Wire, before: Before) -> None:
    login = await wire.released()
    before(lambda: wire.finish(login))
    assert (await wire.finish(login)).status_code == 204


async def test_a_release_between_asking_and_waiting_is_not_missed(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = await wire.open()
    get, reads = wire.store.get, 0

    async def released_after_the_first_read(login_id: str) -> Login | None:
        nonlocal reads
        reads += 1
        found = await get(login_id)
        if reads == 1:
            await wire.callback(login, error="access_denied")
        return found

    monkeypatch.setattr(wire.store, "get", released_after_the_first_read)
    assert (await wire.collect(login, 20)).status_code == 200


async def test_a_login_that_expires_while_it_is_read_is_410(
    wire: Wire, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    get = wire.store.get

    async def slow(login_id: str) -> Login | None:
        found = await get(login_id)
        clock.advance(1)
        return found

    monkeypatch.setattr(wire.store, "get", slow)
    clock.advance(599.5)
    assert (await wire.callback(login)).status_code == 410
    clock.now -= 1
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 410
