"""`keys`: listed without their material, rotated, and replaced after a leak."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.served import Client, Served, run_here, run_json, until


def purposes(document: Any, standing: str) -> list[str]:
    return [k["purpose"] for k in document["keys"] if k["standing"] == standing]


ALL = ["state", "confirm", "pairing", "completion", "fingerprint", "response"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    logs = tmp_path / "logs"
    logs.mkdir()
    served = Served(tmp_path / "data", logs)
    yield served
    served.kill()


def kids(served: Served) -> set[str]:
    answer = httpx.get(f"{served.url}/.well-known/jwks.json")
    return {key["kid"] for key in answer.json()["keys"]}


def test_keys_are_listed_without_their_material(served: Served) -> None:
    found = run_json("keys", "list", "--data", served.data)
    assert purposes(found, "in use") == ALL
    assert {tuple(key) for key in found["keys"]} == {("purpose", "kid", "used_from", "standing")}
    told = run_here("keys", "list", "--data", served.data, COLUMNS="20").stdout
    material = [k["material"] for k in json.loads((served.data / "keys.json").read_text())["keys"]]
    assert "in use" in told
    assert not [key for key in found["keys"] if key["kid"] not in told]
    assert not [m for m in material if m in told]


def test_rotated_keys_are_published_before_they_are_used(served: Served) -> None:
    before = kids(served)
    rotated = run_json("keys", "rotate", "--data", served.data)
    assert purposes(rotated, "in use") == purposes(rotated, "upcoming") == ALL
    until(lambda: before < kids(served), "the new key in the JWKS")


def test_a_login_goes_on_through_a_rotation(served: Served) -> None:
    client = Client(served, served.key)
    login = client.open()
    run_json("keys", "rotate", "--data", served.data)
    query = {"state": login["state"], "error": "access_denied"}
    assert httpx.get(f"{served.url}/auth/callback", params=query).status_code == 200
    assert client.collect(login).status_code == 200


def test_leaked_keys_are_replaced_and_open_logins_ended(served: Served) -> None:
    client = Client(served, served.key)
    login, before = client.open(), kids(served)
    done = run_json("keys", "rotate", "--now", "--data", served.data)
    assert done["ended_logins"] == 1
    assert purposes(done, "in use") == ALL
    assert purposes(done, "upcoming") == []
    assert client.collect(login).json()["type"].endswith("/login-cancelled")
    until(lambda: not before & kids(served), "the old key gone")
    query = {"state": login["state"], "error": "access_denied"}
    assert httpx.get(f"{served.url}/auth/callback", params=query).status_code == 400
    fresh = client.open()
    assert client.collect(fresh).status_code == 202


def test_rotating_now_says_what_it_ended(served: Served) -> None:
    told = run_here("keys", "rotate", "--now", "--data", served.data).stdout
    assert "Open logins ended: 0" in told
    assert "Instance keys are as they were" in told


def test_rotating_tells_people_the_keys(served: Served) -> None:
    assert "upcoming" in run_here("keys", "rotate", "--data", served.data).stdout
