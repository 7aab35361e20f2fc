"""`instances`: who may open logins, changed while `serve` runs."""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from opencode_relay.instances import Instance
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.served import Client, Served, run_here, run_json
from tests.support.stores import an_instance

URL = "https://instance.example/auth/callback"
IPV6_URL = "https://[fd00::1]/auth/callback"
LONG_URL = "https://instance.example/" + "a" * 200
HELD = 20  # seconds that no test here waits to the end


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One `serve` for all these tests: each enrols instances of its own."""
    data, logs = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("logs")
    served = Served(data, logs, "--name=first")
    yield served
    assert served.stop() == 0


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:64].replace("[", "(").replace("]", ")")


@pytest.fixture
def instances(served: Served) -> "Instances":
    return Instances(served)


class Instances:
    """The command line, on the data directory of a running `serve`."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def run(self, *args: object) -> tuple[int, str, str]:
        done = run_here("instances", *args, "--data", self.served.data)
        return done.returncode, done.stdout, done.stderr

    def json(self, *args: object) -> Any:
        return run_json("instances", *args, "--data", self.served.data)

    def refused(self, *args: object) -> str:
        status, _, told = self.run(*args)
        assert (status, told.count("\n")) == (1, 1), told
        return told

    def client(self, key: str) -> Client:
        return Client(self.served, key)

    def listed(self, instance_id: str) -> dict[str, Any]:
        [found] = [i for i in self.json("list") if i["instance_id"] == instance_id]
        return dict(found)


def test_add_prints_id_and_key(instances: Instances, name: str) -> None:
    added = instances.json("add", name, "--return-url", URL)
    assert set(added) == {"instance_id", "name", "return_urls", "created_at", "key"}
    assert (added["name"], added["return_urls"]) == (name, [URL])


def test_add_prints_them_for_people_too(instances: Instances, name: str) -> None:
    status, told, _ = instances.run("add", name)
    assert status == 0
    assert "ocr_" in told
    assert "shown only this once" in told


def test_a_running_serve_takes_a_new_key(instances: Instances, name: str) -> None:
    instances.client(instances.json("add", name)["key"]).open()


def test_a_name_is_unique(instances: Instances, name: str) -> None:
    instances.json("add", name)
    assert "take another name" in instances.refused("add", name.upper())


@pytest.mark.parametrize("bad", ["default", "x" * 65, " x"])
def test_a_name_tells_a_person_something(instances: Instances, bad: str) -> None:
    assert "The name" in instances.refused("add", bad)


def test_a_hostile_return_url_is_refused(instances: Instances, name: str) -> None:
    assert "return URL" in instances.refused("add", name, "--return-url", f"{URL}#x")
    assert name not in instances.run("list")[1]


def test_list_never_shows_a_key_again(instances: Instances, name: str) -> None:
    key = instances.json("add", name)["key"]
    for args in ([], ["--json"]):
        status, told, _ = instances.run("list", *args)
        assert status == 0
        assert "ocr_" not in told
        assert key not in told


def test_list_shows_who_is_enrolled(instances: Instances, name: str) -> None:
    added = instances.json("add", name, "--return-url", URL)
    del added["key"]
    assert instances.listed(added["instance_id"]) == added
    assert "first" in [i["name"] for i in instances.json("list")]
    assert added["instance_id"] in instances.run("list")[1]


@pytest.mark.parametrize("url", [IPV6_URL, LONG_URL], ids=["ipv6", "long"])
def test_list_shows_whole_return_urls(instances: Instances, name: str, url: str) -> None:
    """What looks like markup is shown as it is, and nothing is cut off."""
    instances.json("add", name, "--return-url", url)
    cells = [
        line.split("│")[-2].strip() for line in instances.run("list")[1].split("\n") if "│" in line
    ]
    assert url in "".join(cells)


def test_list_shows_a_name_in_brackets(instances: Instances) -> None:
    instances.json("add", "[red]x")
    assert "[red]x" in instances.run("list")[1]


def test_return_urls_are_added_and_dropped(instances: Instances, name: str) -> None:
    found = instances.json("add", name, "--return-url", URL)["instance_id"]
    changed = instances.json("update", found, "--return-url", IPV6_URL, "--drop-return-url", URL)
    assert changed["return_urls"] == [IPV6_URL]
    assert instances.listed(found)["return_urls"] == [IPV6_URL]
    assert "key" not in changed


def test_a_new_return_url_is_taken_up_by_a_running_serve(instances: Instances, name: str) -> None:
    added = instances.json("add", name)
    wanted = {"delivery": "redirect", "return_url": URL}
    client = instances.client(added["key"])
    assert client.post(wanted).status_code == 403
    instances.json("update", added["instance_id"], "--return-url", URL)
    assert client.post(wanted).status_code == 201


def test_what_is_not_there_cannot_be_dropped(instances: Instances, name: str) -> None:
    found = instances.json("add", name)["instance_id"]
    assert "is not a return URL" in instances.refused("update", found, "--drop-return-url", URL)


def test_a_new_key_works_beside_the_old_one(instances: Instances, name: str) -> None:
    added = instances.json("add", name)
    new = instances.json("update", added["instance_id"], "--new-key")["key"]
    assert new != added["key"]
    for key in (added["key"], new):
        instances.client(key).open()


def test_a_revoked_key_is_refused(instances: Instances, name: str) -> None:
    added = instances.json("add", name)
    client = instances.client(added["key"])
    login = client.open()
    assert client.collect(login).status_code == 202
    ended = instances.json("revoke", added["instance_id"])
    assert ended == {"instance_id": added["instance_id"], "ended_logins": 1}
    assert client.collect(login).json()["type"].endswith("/login-cancelled")
    assert client.post().status_code == 401


def test_revoking_wakes_who_waits(instances: Instances, name: str) -> None:
    added = instances.json("add", name)
    client = instances.client(added["key"])
    login = client.open()
    answers: list[httpx.Response] = []
    waiter = threading.Thread(target=lambda: answers.append(client.collect(login, HELD)))
    waiter.start()
    instances.json("revoke", added["instance_id"])
    waiter.join()
    assert answers[0].status_code == 410


def test_revoking_ends_no_other_instances_logins(instances: Instances, name: str) -> None:
    one, two = instances.json("add", name), instances.json("add", f"{name[:60]} 2")
    client = instances.client(one["key"])
    login = client.open()
    assert instances.json("revoke", two["instance_id"])["ended_logins"] == 0
    assert client.collect(login).status_code == 202


def test_revoke_says_what_it_ended(instances: Instances, name: str) -> None:
    found = instances.json("add", name)["instance_id"]
    status, told, _ = instances.run("revoke", found)
    assert status == 0
    assert "open logins ended: 0" in told


def test_a_renamed_instance_keeps_its_key_urls_and_logins(instances: Instances, name: str) -> None:
    added = instances.json("add", name, "--return-url", URL)
    client = instances.client(added["key"])
    login = client.open()
    renamed = instances.json("rename", name, f"{name} 2")
    del added["key"]
    assert renamed == added | {"name": f"{name} 2"} == instances.listed(added["instance_id"])
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
    assert "There is no instance 'nobody'" in instances.refused(name, "nobody", *more)


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


def test_the_directory_may_come_from_the_environment(served: Served) -> None:
    done = run_here("instances", "list", "--json", RELAY_DATA=str(served.data))
    assert "first" in [i["name"] for i in json.loads(done.stdout)]
