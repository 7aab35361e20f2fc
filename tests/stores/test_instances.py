"""The contract of stores: enrolled instances and counters."""

import asyncio
from dataclasses import replace

import pytest
from opencode_relay.errors import NameTaken
from opencode_relay.instances import Instance
from opencode_relay.stores import Store

from tests.support.stores import NOW, OpenStore, an_instance

MINUTE = int(NOW // 60)


async def added(store: Store, name: str = "workshop", *return_urls: str) -> Instance:
    instance = an_instance(name, *return_urls)
    assert await store.add_instance(instance)
    return instance


async def test_an_instance_comes_back_as_it_was_added(store: Store) -> None:
    instance = await added(store, "Ana's 🦊", "https://a.example/x", "https://a.example/y")
    assert await store.get_instance(instance.id) == instance


async def test_an_unknown_instance_is_none(store: Store) -> None:
    await added(store)
    assert await store.get_instance("nobody") is None


@pytest.mark.parametrize(
    "name", ["workshop", "WorkShop", "\N{FULLWIDTH LATIN SMALL LETTER W}orkshop"]
)
async def test_a_name_is_taken_by_whatever_looks_like_it(store: Store, name: str) -> None:
    first = await added(store)
    again = an_instance(name)
    assert not await store.add_instance(again)
    assert await store.get_instance(again.id) is None
    assert list(await store.list_instances()) == [first]


async def test_of_two_that_take_a_name_at_once_one_gets_it(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    found = await asyncio.gather(one.add_instance(an_instance()), two.add_instance(an_instance()))
    assert sorted(found) == [False, True]


async def test_all_instances_are_listed(store: Store) -> None:
    found = [await added(store, name) for name in ("b", "a", "c")]
    listed = await store.list_instances()
    assert sorted(i.name for i in listed) == ["a", "b", "c"]
    assert {i.id for i in listed} == {i.id for i in found}


async def test_nobody_is_listed_at_first(store: Store) -> None:
    assert list(await store.list_instances()) == []


async def test_a_change_is_written_over_its_version(store: Store) -> None:
    instance = await added(store)
    changed, _ = instance.with_new_key(NOW)
    changed = changed.with_return_urls(["https://a.example/x"], [])
    assert await store.replace_instance(changed)
    assert await store.get_instance(instance.id) == replace(changed, version=2)


async def test_of_two_changes_of_one_version_one_holds(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    instance = await added(one)
    changes = [instance.with_new_key(NOW)[0] for _ in range(2)]
    found = await asyncio.gather(one.replace_instance(changes[0]), two.replace_instance(changes[1]))
    assert sorted(found) == [False, True]
    kept = await one.get_instance(instance.id)
    assert kept == replace(changes[found.index(True)], version=2)


async def test_an_unknown_instance_cannot_be_changed(store: Store) -> None:
    instance = an_instance()
    assert not await store.replace_instance(instance)
    assert await store.get_instance(instance.id) is None


def named(instance: Instance, name: str) -> Instance:
    return replace(instance, name=name)


async def test_a_renamed_instance_is_as_it_was_but_for_its_name(store: Store) -> None:
    instance, other = await added(store, "old", "https://a.example/x"), await added(store, "other")
    assert await store.replace_instance(named(instance, "new"))
    assert await store.get_instance(instance.id) == replace(instance, name="new", version=2)
    assert await store.get_instance(other.id) == other


async def test_a_renamed_instances_names_are_the_new_one_only(store: Store) -> None:
    instance = await added(store, "old")
    assert await store.replace_instance(named(instance, "new"))
    assert not await store.add_instance(an_instance("NEW"))
    old = await added(store, "old")
    assert await store.remove_instance(instance.id)
    await added(store, "new")
    assert await store.get_instance(old.id) == old


async def test_a_name_may_change_in_case_only(store: Store) -> None:
    instance = await added(store)
    assert await store.replace_instance(named(instance, "WORKSHOP"))
    assert [one.name for one in await store.list_instances()] == ["WORKSHOP"]
    assert not await store.add_instance(instance)
    assert await store.remove_instance(instance.id)
    await added(store)


async def test_another_instances_name_is_not_taken_away(store: Store) -> None:
    instance, other = await added(store), await added(store, "other")
    with pytest.raises(NameTaken, match="'Other'"):
        await store.replace_instance(named(instance, "Other"))
    assert {one.id: one for one in await store.list_instances()} == {
        instance.id: instance,
        other.id: other,
    }
    assert not await store.add_instance(an_instance("workshop"))


async def test_a_rename_of_what_was_changed_or_removed_moves_no_name(store: Store) -> None:
    instance = await added(store, "old")
    assert await store.replace_instance(instance)
    assert not await store.replace_instance(named(instance, "new"))
    assert await store.remove_instance(instance.id)
    assert not await store.replace_instance(named(instance, "new"))
    await added(store, "old")
    await added(store, "new")


async def test_of_two_that_are_given_a_name_at_once_one_gets_it(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    instances = [await added(one, "a"), await added(one, "b")]
    found = await asyncio.gather(
        one.replace_instance(named(instances[0], "new")),
        two.replace_instance(named(instances[1], "new")),
        return_exceptions=True,
    )
    assert found.count(True) == 1
    kept = instances[found.index(True)]
    lost = instances[1 - found.index(True)]
    assert await one.get_instance(kept.id) == replace(kept, name="new", version=2)
    assert await one.get_instance(lost.id) == lost
    await added(one, kept.name)
    assert not await one.add_instance(an_instance(lost.name))


async def test_a_rename_and_a_new_key_of_one_version_are_not_both_written(
    open_store: OpenStore,
) -> None:
    one, two = open_store(), open_store()
    instance = await added(one, "old")
    changes = [named(instance, "new"), instance.with_new_key(NOW)[0]]
    found = await asyncio.gather(one.replace_instance(changes[0]), two.replace_instance(changes[1]))
    assert sorted(found) == [False, True]
    kept = changes[found.index(True)]
    assert await one.get_instance(instance.id) == replace(kept, version=2)
    assert not await one.add_instance(an_instance(kept.name))
    await added(one, "new" if kept.name == "old" else "old")


async def test_removed_and_renamed_at_once_an_instance_is_gone(open_store: OpenStore) -> None:
    """A revocation must not be lost to a rename, and takes both names with it."""
    one, two = open_store(), open_store()
    instance = await added(one, "old")
    removed, _ = await asyncio.gather(
        one.remove_instance(instance.id), two.replace_instance(named(instance, "new"))
    )
    assert removed
    assert await one.get_instance(instance.id) is None
    await added(one, "old")
    await added(one, "new")


async def test_a_removed_instance_is_gone(store: Store) -> None:
    instance, other = await added(store), await added(store, "other")
    assert await store.remove_instance(instance.id)
    assert list(await store.list_instances()) == [other]
    assert not await store.remove_instance(instance.id)


async def test_a_removed_instances_name_is_free_again(store: Store) -> None:
    await store.remove_instance((await added(store)).id)
    await added(store)


# When a key was last used

HOUR = 3600


async def used(store: Store, instance: Instance, at: float) -> bool:
    return await store.note_use(instance.id, at, at - HOUR)


async def used_at(store: Store, instance: Instance) -> float | None:
    found = await store.get_instance(instance.id)
    assert found
    return found.last_used_at


async def test_a_use_is_written_and_after_it_none_for_an_hour(store: Store) -> None:
    instance, other = await added(store), await added(store, "other")
    assert await used_at(store, instance) is None
    assert await used(store, instance, NOW + 0.5)
    assert not await used(store, instance, NOW + HOUR)
    assert await used_at(store, instance) == NOW + 0.5
    assert await used(store, instance, NOW + HOUR + 0.5)
    assert await store.get_instance(instance.id) == replace(instance, last_used_at=NOW + HOUR + 0.5)
    assert await store.get_instance(other.id) == other
    assert {one.last_used_at for one in await store.list_instances()} == {NOW + HOUR + 0.5, None}


async def test_of_two_uses_at_once_one_is_written(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    instance = await added(one)
    found = await asyncio.gather(used(one, instance, NOW), used(two, instance, NOW))
    assert sorted(found) == [False, True]


async def test_a_use_is_in_the_way_of_no_change_and_outlives_it(store: Store) -> None:
    instance = await added(store)
    assert await used(store, instance, NOW)
    assert await store.replace_instance(named(instance, "new"))
    assert await store.get_instance(instance.id) == replace(
        instance, name="new", version=2, last_used_at=NOW
    )


async def test_a_use_of_a_removed_instance_brings_it_not_back(store: Store) -> None:
    instance = await added(store)
    await store.remove_instance(instance.id)
    assert not await used(store, instance, NOW)
    assert await store.get_instance(instance.id) is None


# Counters

THIS = range(MINUTE, MINUTE + 1)


async def test_a_counter_begins_with_nothing(store: Store) -> None:
    assert await store.count("x", THIS) == 0


async def test_hits_are_summed(store: Store) -> None:
    assert [await store.hit("x", MINUTE) for _ in range(3)] == [1, 2, 3]
    assert await store.count("x", THIS) == 3


async def test_counters_and_minutes_are_apart(store: Store) -> None:
    await store.hit("x", MINUTE)
    assert await store.hit("y", MINUTE) == 1
    assert await store.hit("x", MINUTE + 1) == 1


async def test_hits_at_once_are_all_counted(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    found = await asyncio.gather(*(stores[n % 2].hit("x", MINUTE) for n in range(20)))
    assert sorted(found) == list(range(1, 21))
    assert await stores[0].count("x", THIS) == 20


async def test_minutes_are_summed(store: Store) -> None:
    for minute in (MINUTE - 1, MINUTE, MINUTE, MINUTE + 3):
        await store.hit("x", minute)
    await store.hit("y", MINUTE)
    assert await store.count("x", range(MINUTE, MINUTE + 4)) == 3
    assert await store.count("x", range(MINUTE, MINUTE + 3)) == 2


async def test_a_hit_is_taken_back_once(store: Store) -> None:
    await store.hit("x", MINUTE)
    await store.hit("x", MINUTE)
    await store.take_back("x", MINUTE)
    assert await store.count("x", THIS) == 1
    for _ in range(2):
        await store.take_back("x", MINUTE)
    await store.take_back("nothing", MINUTE)
    assert await store.count("x", THIS) == 0
    assert await store.count("nothing", THIS) == 0
