"""`opencode-relay demo`: the whole login, as a newcomer sees it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from opencode_relay.cli import demo
from opencode_relay.cli.demo.idp import CLIENT_ID, IdP, challenge_of
from opencode_relay.cli.demo.person import NAME, hidden_fields
from opencode_relay.cli.demo.told import DemoFailed
from opencode_relay.cli.loopback import Loopback

COMMAND = [sys.executable, "-m", "opencode_relay.cli", "demo"]


def test_it_tells_each_step_and_ends_well() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    assert "It worked" in done.stdout
    assert done.stderr == ""
    for step in ("opened a login", "typed the code", "collected", "redeemed", "ended the login"):
        assert step in done.stdout
    # Secrets are shortened: no state or sealed response stands there whole.
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", done.stdout)
    assert not re.search(r"(?<![\w-])[0-9A-Z]{4}-[0-9A-Z]{4}(?![\w-])", done.stdout)


def test_json() -> None:
    done = subprocess.run([*COMMAND, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["account"] == NAME
    assert [step["who"] for step in told["steps"]][-1] == "check"


def test_plain_http_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    subprocess.run(COMMAND, capture_output=True, check=True)


def test_locked_as_json() -> None:
    command = [*COMMAND, "--locked", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["ok"] is True


def test_locked() -> None:
    done = subprocess.run([*COMMAND, "--locked"], capture_output=True, text=True, check=True)
    for step in ("http://localhost:1455", "sends the browser on", "shows a completion code"):
        assert step in done.stdout
    assert "It worked" in done.stdout


def test_a_person_can_play() -> None:
    with subprocess.Popen([*COMMAND, "--browser"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        told = ""
        while not (link := re.search(r"http\S+/authorize\S+", told)):
            line = running.stdout.readline()
            assert line, told
            told += line
        code = re.search(r"type the code (\S+) on", told)
        assert code
        try:
            with httpx.Client(follow_redirects=True) as web:
                page = web.get(link[0])
                form = hidden_fields(page) | {"login": "grace"}
                page = web.post(page.url.copy_with(query=None), data=form)
                origin = f"http://{page.url.host}:{page.url.port}"
                form = hidden_fields(page) | {"pairing_code": code[1], "decision": "allow"}
                page = web.post(f"{origin}/auth/confirm", data=form, headers={"Origin": origin})
                assert page.url.path == "/auth/done", page.text
            rest = running.stdout.read()
            assert running.wait() == 0
        finally:
            running.terminate()  # a failure is told at once, not when the login's time is over
    assert "'grace'" in rest


def test_a_code_that_was_not_redeemed_once_is_a_failure() -> None:
    idp = IdP()
    idp.codes = ["a"]
    with pytest.raises(DemoFailed):
        demo._check(idp, Path())


@pytest.fixture
def idp() -> IdP:
    made = IdP()
    made.redirect_uri = "http://127.0.0.1:9/auth/callback"
    return made


def _authorize(url: str, **changed: str) -> httpx.Response:
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": "http://127.0.0.1:9/auth/callback",
        "state": "s",
        "code_challenge": challenge_of("v" * 43),
        "code_challenge_method": "S256",
    }
    return httpx.get(f"{url}/authorize", params=query | changed)


@pytest.mark.parametrize("name", ["redirect_uri", "client_id", "code_challenge", "state"])
def test_the_idp_refuses_requests_that_are_not_the_demos(idp: IdP, name: str) -> None:
    with Loopback(idp.app) as url:
        assert _authorize(url, **{name: ""}).status_code == 400


def test_the_idp_redeems_once_and_with_the_verifier(idp: IdP) -> None:
    with Loopback(idp.app) as url:
        form = hidden_fields(_authorize(url)) | {"login": "ada"}
        first = httpx.post(f"{url}/authorize", data=form)
        assert first.headers["location"].startswith("http://127.0.0.1:9/auth/callback?code=")
        assert httpx.post(f"{url}/authorize", data=form).status_code == 400
        [code] = idp.codes
        good = {"code": code, "code_verifier": "v" * 43}
        assert httpx.post(f"{url}/token", data=good).json()["account"] == "ada"
        assert httpx.post(f"{url}/token", data=good).status_code == 400
        form = hidden_fields(_authorize(url)) | {"login": "ada"}
        httpx.post(f"{url}/authorize", data=form)
        stolen = {"code": idp.codes[-1], "code_verifier": "w" * 43}
        assert httpx.post(f"{url}/token", data=stolen).status_code == 400
    assert idp.redeemed == [code]
