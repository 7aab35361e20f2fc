"""The contract of stores: logins, and the one compare-and-set by which they change."""

import asyncio
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from opencode_relay import login as rules
from opencode_relay.errors import StoreUnavailable
from opencode_relay.login import MAX_TRIES, OPEN, OVER, Change, Login, Status
from opencode_relay.stores import Store

from tests.support.stores import NOW, OpenStore, a_full_login, a_login

PARALLEL = 20


async def created(store: Store, login: Login) -> Login:
    await store.create(login)
    return login


def holding(**more: Any) -> Change:
    values = {"status": Status.HELD, "fingerprint": "print", "response": "sealed"}
    return Change(Status.PENDING, NOW, {**values, **more})


def test_the_full_login_leaves_no_field_out() -> None:
    assert None not in {getattr(a_full_login(), f.name) for f in fields(Login)}


@pytest.mark.parametrize("make", [a_login, a_full_login])
async def test_a_login_comes_back_as_it_was_created(store: Store, make: Any) -> None:
    login = await created(store, make())
    assert await store.get(login.id) == login


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.EXPIRED])
async def test_every_status_is_kept(store: Store, status: Status) -> None:
    login = await created(store, a_login(status=status))
    found = await store.get(login.id)
    assert found
    assert found.status is status


async def test_an_unknown_login_is_none(store: Store) -> None:
    await created(store, a_login())
    assert await store.get("nobody") is None


async def test_an_expired_login_comes_back_as_it_was_written(store: Store) -> None:
    login = await created(store, a_full_login(expires_at=1.0))
    assert await store.get(login.id) == login


async def test_another_connection_sees_what_was_acknowledged(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    login = await created(one, a_login())
    assert await two.get(login.id) == login
    assert await one.apply(login.id, holding())
    assert await status_of(two, login) is Status.HELD


# apply


async def test_a_change_that_holds_changes_what_it_names(store: Store) -> None:
    login = await created(store, a_login())
    assert await store.apply(login.id, holding()) is True
    changed = replace(login, status=Status.HELD, fingerprint="print", response="sealed")
    assert await store.get(login.id) == changed


async def test_a_change_touches_its_own_login_only(store: Store) -> None:
    login, other = await created(store, a_login()), await created(store, a_login())
    await store.apply(login.id, holding())
    assert await store.get(other.id) == other


@pytest.mark.parametrize("status", [s for s in Status if s not in {Status.PENDING, Status.EXPIRED}])
async def test_a_change_of_another_status_does_not_hold(store: Store, status: Status) -> None:
    login = await created(store, a_login(status=status))
    assert await store.apply(login.id, holding()) is False
    assert await store.get(login.id) == login


@pytest.mark.parametrize("expires_at", [NOW, NOW - 0.001, NOW - 600])
async def test_a_change_of_an_expired_login_does_not_hold(store: Store, expires_at: float) -> None:
    login = await created(store, a_login(expires_at=expires_at))
    assert await store.apply(login.id, holding()) is False
    assert await store.get(login.id) == login


async def test_a_change_holds_up_to_the_last_moment(store: Store) -> None:
    login = await created(store, a_login(expires_at=NOW + 0.001))
    assert await store.apply(login.id, holding())


async def test_a_change_of_an_unknown_login_makes_none(store: Store) -> None:
    assert await store.apply("nobody", holding()) is False
    assert await store.get("nobody") is None


async def test_none_erases(store: Store) -> None:
    login = await created(store, a_full_login(status=Status.RELEASED))
    assert await store.apply(login.id, rules.finish(login, NOW))
    finished = await store.get(login.id)
    left = {f.name for f in fields(Login) if getattr(finished, f.name) is not None}
    assert "response" not in left
    assert "collect_challenge" not in left


async def test_a_release_writes_times_and_flags(store: Store) -> None:
    login = await created(store, a_login(expires_at=NOW + 10))
    released = rules.release(login, NOW + 0.5, response="sealed", rendering="r", idp_error=True)
    assert await store.apply(login.id, released)
    found = await store.get(login.id)
    assert found
    assert (found.status, found.idp_error, found.rendering) == (Status.RELEASED, True, "r")
    assert (found.expires_at, found.arrived_at) == (NOW + 60.5, NOW + 0.5)


async def test_a_try_is_counted_up_to_the_limit(store: Store) -> None:
    login = await created(store, a_login(status=Status.HELD))
    for n in range(1, MAX_TRIES + 1):
        assert await store.count_try(login.id, NOW) == n
        assert await store.get(login.id) == replace(login, tries=n)
    assert await store.count_try(login.id, NOW) is None
    assert await store.get(login.id) == replace(login, tries=MAX_TRIES)


@pytest.mark.parametrize(
    "values", [{"status": Status.RELEASED}, {"status": Status.HELD, "expires_at": NOW}]
)
async def test_a_try_is_counted_of_a_held_login_only(store: Store, values: Any) -> None:
    login = await created(store, a_login(**values))
    assert await store.count_try(login.id, NOW) is None
    assert await store.get(login.id) == login


async def test_no_try_is_counted_of_an_unknown_login(store: Store) -> None:
    assert await store.count_try("nobody", NOW) is None
    assert await store.get("nobody") is None


async def test_of_many_changes_at_once_one_holds(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    login = await created(stores[0], a_login())
    changes = [stores[n % 2].apply(login.id, holding(response=f"{n}")) for n in range(PARALLEL)]
    held = await asyncio.gather(*changes)
    assert sum(held) == 1
    found = await stores[1].get(login.id)
    assert found
    assert found.response == f"{held.index(True)}"


async def test_of_many_tries_at_once_the_limit_is_counted(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    login = await created(stores[0], a_login(status=Status.HELD))
    tries = [stores[n % 2].count_try(login.id, NOW) for n in range(PARALLEL)]
    counted = [n for n in await asyncio.gather(*tries) if n]
    assert sorted(counted) == list(range(1, MAX_TRIES + 1))


# cancel_all


async def status_of(store: Store, login: Login) -> Status:
    found = await store.get(login.id)
    assert found
    return found.status


@pytest.mark.parametrize("status", OPEN)
async def test_open_logins_are_cancelled_and_lose_their_secrets(
    store: Store, status: Status
) -> None:
    login = await created(store, a_full_login(status=status))
    cancelled = replace(login, status=Status.CANCELLED, **OVER)
    assert await store.cancel_all(NOW) == [cancelled]
    assert await store.get(login.id) == cancelled


@pytest.mark.parametrize("status", [Status.FINISHED, Status.DECLINED, Status.CANCELLED])
async def test_what_is_over_is_not_cancelled(store: Store, status: Status) -> None:
    login = await created(store, a_login(status=status))
    assert await store.cancel_all(NOW) == []
    assert await store.get(login.id) == login


async def test_what_has_expired_is_not_cancelled(store: Store) -> None:
    login = await created(store, a_login(expires_at=NOW))
    assert await store.cancel_all(NOW) == []
    assert await status_of(store, login) is Status.PENDING


async def test_one_instances_logins_are_cancelled_alone(store: Store) -> None:
    owners = ["one", "one", "two", None]
    logins = [await created(store, a_login(instance_id=owner)) for owner in owners]
    assert len(await store.cancel_all(NOW, instance_id="one")) == 2
    found = [await status_of(store, login) for login in logins]
    assert found == [Status.CANCELLED] * 2 + [Status.PENDING] * 2


async def test_all_logins_are_cancelled_whoever_owns_them(store: Store) -> None:
    for owner in ("one", "two", None):
        await created(store, a_login(instance_id=owner))
    assert len(await store.cancel_all(NOW)) == 3
    assert await store.cancel_all(NOW) == []


async def test_a_store_that_works_passes_its_check(store: Store) -> None:
    await store.check()


async def test_a_creation_that_comes_late_undoes_nothing(store: Store) -> None:
    """As its first attempt may, when a second was made because no answer came."""
    login = await created(store, a_login())
    await store.apply(login.id, holding())
    held = await store.get(login.id)
    with suppress(StoreUnavailable):
        await store.create(login)
    assert await store.get(login.id) == held
