"""`opencode auth login` in a terminal offers the same."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Meet
from tests.e2e.opencode import QUIET
from tests.e2e.outside import Outside
from tests.e2e.person import decide, says
from tests.e2e.processes import OPENCODE
from tests.e2e.terminal import Terminal, terminal_at

from .signing_in import PROVIDER, Place, reach_relay


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with terminal_at(tmp_path / "tmux") as one:
        yield one


def test_menu_link_and_code(meet: Meet, place: Place, terminal: Terminal, proxy: Outside) -> None:
    home = place.opencode.home
    env = {
        **QUIET,
        **proxy.environment,
        "PATH": os.environ["PATH"],
        "HOME": f"{home}",
        "TERM": "xterm-256color",
        "OPENCODE_MODELS_PATH": f"{home / 'models.json'}",
    }
    login = [f"{OPENCODE}", "auth", "login", "--provider", PROVIDER]
    terminal.run(login, env, columns=100, lines=40)
    terminal.shows("Via relay. If asked, paste")
    terminal.type("Enter")
    terminal.shows("Which MCP server?")
    terminal.type("Enter")
    screen = terminal.shows("enter this code")
    link = re.search(r"Go to: (\S+)", screen)
    code = re.search(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", screen)
    assert link
    assert code

    alice = meet("alice")
    page = reach_relay(alice, alice.open(link[0].removeprefix("Go to: ")))
    decide(page, "Allow", code[0])
    says(page, "Sign-in allowed")
    terminal.shows("Login successful")
    place.opencode.connect("any")
    place.signed_in(alice, "any")
