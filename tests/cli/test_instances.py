"""`instances`: who may open logins, changed while `serve` runs."""

import json
import threading
import time
from pathlib import Path

import httpx
import pytest
from opencode_relay.cli.home import Home

from tests.cli.instances import Instances
from tests.support.served import run_here

URL = "https://instance.example/auth/callback"
IPV6_URL = "https://[fd00::1]/auth/callback"
LONG_URL = "https://instance.example/" + "a" * 200
HELD = 20  # seconds that no test here waits to the end


def test_add_prints_id_and_key(instances: Instances, name: str) -> None:
    added = instances.json("add", name, "--return-url", URL)
    assert set(added) == {"instance_id", "name", "return_urls", "created_at", "last_used_at", "key"}
    assert (added["name"], added["return_urls"]) == (name, [URL])


def test_add_prints_them_for_people_too(instances: Instances, name: str) -> None:
    status, told, _ = instances.run("add", name)
    assert status == 0
    assert "ocr_" in told
    assert "shown only this once" in told
    assert f"`opencode-relay connect {instances.served.url}` asks for it on this machine" in told


def test_add_sends_another_machine_to_a_public_url(tmp_path: Path) -> None:
    Home(tmp_path, make=True).remember_url("https://relay.example.com")
    told = run_here("instances", "add", "build server", "--data", tmp_path).stdout
    assert "On its machine `opencode-relay connect https://relay.example.com` asks for it" in told


def test_a_running_serve_takes_a_new_key(instances: Instances, name: str) -> None:
    instances.client(instances.json("add", name)["key"]).open()


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


def test_list_shows_when_one_was_last_used(instances: Instances, name: str) -> None:
    added = instances.json("add", name)
    [row] = [line for line in instances.run("list")[1].splitlines() if added["instance_id"] in line]
    assert "never" in row
    began = int(time.time())
    instances.client(added["key"]).open()
    assert began <= instances.listed(added["instance_id"])["last_used_at"] <= time.time()
    [row] = [line for line in instances.run("list")[1].splitlines() if added["instance_id"] in line]
    assert "never" not in row


@pytest.mark.parametrize("url", [IPV6_URL, LONG_URL], ids=["ipv6", "long"])
def test_list_shows_whole_return_urls(instances: Instances, name: str, url: str) -> None:
    """What looks like markup is shown as it is, and nothing is cut off."""
    instances.json("add", name, "--return-url", url)
    assert url in instances.run("list")[1]


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


def test_the_directory_may_come_from_the_environment(instances: Instances) -> None:
    done = run_here("instances", "list", "--json", RELAY_DATA=str(instances.served.data))
    assert "first" in [i["name"] for i in json.loads(done.stdout)]
