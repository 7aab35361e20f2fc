"""Gateways of one's own: what `connect --providers` refuses or says of them, and `status`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from opencode_relay.cli import gateways

from tests.docs.pages import read
from tests.support.ports import free_port

from .homes import Home
from .hostile import Hostile, answer, says

WORK = {"id": "work", "issuer": "https://sso.example.com", "clientId": "opencode"}
OPENID = "/realm/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server/realm"


@pytest.fixture
def idp() -> Iterator[Hostile]:
    with Hostile() as server:
        server.answers = {OPENID: answer("", 404), OAUTH: answer("", 404)}
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "providers.json"


def written(file: Path, *entries: object) -> Path:
    file.write_text(json.dumps(entries))
    return file


def configure(home: Home, options: object) -> None:
    home.config.mkdir(parents=True, exist_ok=True)
    provider = {"provider": {"work": {"options": options}}}
    (home.config / "opencode.json").write_text(json.dumps(provider))


@pytest.mark.parametrize("path", [OPENID, OAUTH])
def test_a_gateway_that_will_do(home: Home, idp: Hostile, file: Path, path: str) -> None:
    issuer = f"{idp.url}/realm"
    idp.answers[path] = says({"issuer": issuer})
    configure(home, {"baseURL": "https://ai.example.com/v1"})
    done = home.connect("--providers", written(file, WORK | {"issuer": issuer}))
    assert done.stderr == "Gateways take a relay: run this again with its URL.\n"
    assert "A gateway stands below Show more providers" in done.stdout
    assert home.settings == {"providers": [WORK | {"issuer": issuer}]}
    assert home.run("status").returncode == 0


def test_an_issuer_of_another_spelling_is_refused(home: Home, idp: Hostile, file: Path) -> None:
    idp.answers[OPENID] = says({"issuer": f"{idp.url}/realm"})
    told = home.refused("--providers", written(file, WORK | {"issuer": f"{idp.url}/realm/"}))
    assert f"gateway work: It calls itself {idp.url}/realm: write that as issuer, not" in told


@pytest.mark.parametrize("dead", [True, False])
def test_an_issuer_that_says_nothing_is_told_of(
    home: Home, idp: Hostile, file: Path, dead: bool
) -> None:
    url = f"http://127.0.0.1:{free_port()}" if dead else f"{idp.url}/realm"
    done = home.connect("--providers", written(file, WORK | {"issuer": url}))
    assert f"gateway work: nobody can sign in while {url} " in done.stderr
    assert home.run("status").returncode == 3


@pytest.mark.parametrize("options", [None, {}])
def test_a_provider_that_opencode_lacks_is_told_of(
    home: Home, idp: Hostile, file: Path, options: object
) -> None:
    issuer = f"{idp.url}/realm"
    idp.answers[OPENID] = says({"issuer": issuer})
    configure(home, options)
    done = home.connect("--providers", written(file, WORK | {"issuer": issuer}))
    assert "opencode.json has no provider 'work' with a baseURL" in done.stderr
    assert "opencode.json has no provider 'work'" in home.run("status").stdout


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([1], "must be a list such as"),
        ([WORK] * 9, "They are 9: 8 may be set"),
        ([WORK, WORK], "Two have the id 'work'"),
        ([{**WORK, "client_id": "x"}], "Entry 1: 'client_id' is unknown: known are id, issuer,"),
        ([{**WORK, "scope": ["openid"]}], "'scope' must be a text"),
        ([WORK, {**WORK, "id": "openai"}], "Entry 2: 'openai' is taken by opencode"),
        ([{**WORK, "id": "Work "}], "'id' must be a provider's id in opencode.json"),
        ([{"id": "work", "clientId": "x"}], "'issuer' must be the https URL"),
        ([{**WORK, "issuer": "https://u@sso.example.com"}], "'issuer' must be the https URL"),
        ([{**WORK, "issuer": "http://sso.example.com"}], "'issuer' must be https"),
        ([{**WORK, "clientId": ""}], "'clientId' must be set"),
        ([{**WORK, "scope": "openid  email"}], "'scope' must be words"),
        ([{**WORK, "name": "x" * 41}], "'name' must have 1 to 40 characters"),
    ],
)
def test_what_the_plugin_would_refuse(
    home: Home, file: Path, entries: list[object], says: str
) -> None:
    told = home.refused("--providers", written(file, *entries))
    assert says in told
    assert "Nothing was changed." in told


@pytest.mark.parametrize("text", ["{}", "["])
def test_what_is_no_list(home: Home, file: Path, text: str) -> None:
    file.write_text(text)
    assert ("list such as" if text == "{}" else str(file)) in home.refused("--providers", file)


def test_disconnecting_shows_the_list_that_goes(home: Home) -> None:
    home.connect()
    (home.plugins / "opencode-relay.json").write_text(json.dumps({"providers": [WORK]}))
    assert f"{json.dumps([WORK])}\n" in home.run("disconnect").stdout


def test_the_plugin_refuses_the_same() -> None:
    source = read("plugin/src/providers/option.ts")

    def words(name: str) -> set[str]:
        return set(re.findall('"(.*?)"', source.split(f"{name} = [")[1].split("];")[0]))

    assert words("OPENCODES_OWN") == gateways.OPENCODES_OWN
    assert words("MEMBERS") == set(gateways.MEMBERS)
    assert f"MOST = {gateways.MOST};" in source
