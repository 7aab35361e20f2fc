"""`opencode-relay doctor` and what is on its own machine: keys, a relay that is connected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from opencode_relay.cli.doctor.checks import Finding, carry_out
from opencode_relay.cli.doctor.instance import InstanceExamination
from opencode_relay.cli.doctor.mcp import McpExamination

from tests.docs.pages import ROOT
from tests.support.ports import free_port

from .homes import SETTINGS, Home
from .hostile import Hostile, says


def test_a_key_may_stand_in_a_file(home: Home, relay: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(f"{key}\n")
    without = home.run("doctor", relay)
    assert (without.returncode, "by --key-file" in without.stdout) == (3, True)
    done = home.run("doctor", relay, "--key-file", file, OPENCODE_RELAY_KEY="ocr_another")
    assert done.returncode == 0, done.stdout
    assert key not in done.stdout + done.stderr
    assert "cannot be read" in home.run("doctor", relay, "--key-file", "/no/key").stderr


def test_where_nobody_answers_it_asks_whether_the_relay_runs(home: Home) -> None:
    done = home.run("doctor", f"http://127.0.0.1:{free_port()}")
    assert "opencode-relay serve` run there?" in done.stdout


def test_the_relay_that_is_connected_is_asked(home: Home) -> None:
    with Hostile() as hostile:
        lets_anybody_in = says({})
        hostile.answers = {"/mcp": lets_anybody_in, "/.well-known": says(hostile.discovery())}

        def told() -> tuple[int, str]:
            done = home.run("doctor", "--mcp", f"{hostile.url}/mcp")
            return done.returncode, done.stdout

        status, seen = told()
        assert status == 3
        assert "not tried: name its URL, for nothing is connected here" in seen
        home.connect()  # pasting alone
        assert told()[0] == 0
        (home.plugins / SETTINGS).write_text(json.dumps({"relay": hostile.url}))
        status, seen = told()
        assert status == 0
        assert f"its redirect URI is {hostile.url}/auth/callback" in seen


@pytest.mark.parametrize(
    ("relays", "pasting", "line"),
    [
        ({"registration": False}, True, "by opencode's first line."),
        ({"its login page": False}, True, "by opencode's line “Refused the relay?”."),
        ({"its login page": False}, False, None),
        ({"reachable": False}, True, None),
        ({}, True, None),
    ],
)
def test_where_the_relay_alone_is_refused_the_way_is_named(
    relays: Mapping[str, bool], pasting: bool, line: str | None
) -> None:
    ok = {**relays, "its login page with localhost": pasting}
    said = McpExamination.sum_up([Finding(check, well, "") for check, well in ok.items()])
    assert said == (line and f"Through the relay: no. By pasting, or with a helper: yes, {line}")


def test_an_opencode_where_people_paste_is_told_what_is_to_be_set() -> None:
    [words] = re.findall('PASTE = "(.*)"', (ROOT / "plugin/src/signin/offer.ts").read_text())
    offered = {"openai": [{"type": "oauth", "label": f"ChatGPT: {words}"}]}
    with Hostile() as opencode, httpx.Client() as web:
        opencode.answers = {"/provider/auth": says(offered)}
        checks = InstanceExamination(web, opencode.url).checks()
        [found] = carry_out([one for one in checks if one.name == "a sign-in begins"], needed=0)
    assert found.ok is False
    assert f"connect --public-url {opencode.url} --catcher`" in found.seen
