"""`instances`: what one may be called, found by its name, and renamed."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from opencode_relay.instances import Instance
from opencode_relay.stores.sqlite import SQLiteStore

from tests.cli.instances import Instances
from tests.support.stores import an_instance

URL = "https://instance.example/auth/callback"


def test_a_name_is_unique(instances: Instances, name: str) -> None:
    instances.json("add", name)
    assert "take another name" in instances.refused("add", name.upper())


@pytest.mark.parametrize("bad", ["default", "x" * 65, " x"])
def test_a_name_tells_a_person_something(instances: Instances, bad: str) -> None:
    assert "The name" in instances.refused("add", bad)


def test_a_renamed_instance_keeps_its_key_urls_and_logins(instances: Instances, name: str) -> None:
    added = instances.json("add", name, "--return-url", URL)
    client = instances.client(added["key"])
    login = client.open()
    renamed = instances.json("rename", name, f"{name} 2")
    assert added.pop("key")
    assert added.pop("last_used_at") is None  # it has been since, by the login
    assert renamed == instances.listed(added["instance_id"])
    assert {**renamed, **added} == renamed | {"name": name}
    assert client.collect(login).status_code == 202
    client.open()
    assert "There is no instance" in instances.refused("update", name, "--new-key")
    instances.json("add", name)


def test_a_rename_shows_what_came_of_it(instances: Instances) -> None:
    found = instances.json("add", "teh server")["instance_id"]
    status, told, _ = instances.run("rename", found, "The server")
    assert status == 0
    assert (found in told, "The server" in told, "ocr_" in told) == (True, True, False)


def test_a_name_may_be_written_in_another_case(instances: Instances, name: str) -> None:
    instances.json("add", name)
    assert instances.json("rename", name, name.upper())["name"] == name.upper()


def test_a_taken_name_is_not_given_again(instances: Instances, name: str) -> None:
    found = instances.json("add", name)["instance_id"]
    assert "take another name" in instances.refused("rename", found, "FIRST")
    assert instances.listed(found)["name"] == name


@pytest.mark.parametrize("bad", ["default", "x" * 65, " x"])
def test_a_new_name_tells_a_person_something_too(instances: Instances, name: str, bad: str) -> None:
    instances.json("add", name)
    assert "The name" in instances.refused("rename", name, bad)


def test_a_rename_that_another_change_overtakes_loses_nothing(
    instances: Instances, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new key that is given meanwhile works, under the new name."""
    found = instances.json("add", name)["instance_id"]
    keys: list[str] = []
    write = SQLiteStore.replace_instance

    async def overtaken(store: SQLiteStore, instance: Instance) -> bool:
        if not keys:
            changed, key = instance.with_new_key(time.time())
            keys.append(key.reveal())
            assert await write(store, changed)
        return await write(store, instance)

    monkeypatch.setattr(SQLiteStore, "replace_instance", overtaken)
    assert instances.json("rename", name, f"{name[:60]} 2")["instance_id"] == found
    instances.client(keys[0]).open()


COMMANDS = [("update",), ("rename", "new"), ("revoke",)]


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_by_that_name_or_id_is_one_sentence(
    instances: Instances, command: tuple[str, ...]
) -> None:
    name, *more = command
    told = instances.refused(name, "nobody", *more)
    assert "There is no instance 'nobody'" in told
    assert f"opencode-relay instances list --data {instances.served.data}`" in told


def test_an_instance_is_changed_by_its_name(instances: Instances, name: str) -> None:
    found = instances.json("add", name)["instance_id"]
    assert instances.json("update", name.upper(), "--return-url", URL)["instance_id"] == found
    assert instances.listed(found)["return_urls"] == [URL]


def test_an_instance_is_revoked_by_its_name(instances: Instances, name: str) -> None:
    found = instances.json("add", name)["instance_id"]
    status, told, _ = instances.run("revoke", name)
    assert status == 0
    assert f"{found} ({name})" in told
    assert found not in instances.run("list")[1]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("written", [str, str.upper])
def test_what_may_be_two_instances_is_refused(
    instances: Instances, name: str, command: tuple[str, ...], written: Callable[[str], str]
) -> None:
    """One's ID as another's name: a guess could revoke the wrong one."""
    one = instances.json("add", f"{name[:60]} {secrets.token_hex(1)}")
    two = replace(an_instance(), name=written(one["instance_id"]))
    store = SQLiteStore(instances.served.data)
    assert asyncio.run(store.add_instance(two))
    store.close()
    action, *more = command
    told = instances.refused(action, one["instance_id"], *more)
    assert "may mean" in told
    assert two.id in told
    assert {one["instance_id"], two.id} <= {i["instance_id"] for i in instances.json("list")}
    instances.json("revoke", two.id)
    instances.json("update", one["instance_id"], "--new-key")


@pytest.mark.parametrize("written", [str, str.upper])
def test_an_id_is_nobodys_name(
    instances: Instances, name: str, written: Callable[[str], str]
) -> None:
    found = written(instances.json("add", name)["instance_id"])
    assert f"'{found}' is the ID of an instance" in instances.refused("add", found)
    assert f"'{found}' is the ID of an instance" in instances.refused("rename", name, found)
