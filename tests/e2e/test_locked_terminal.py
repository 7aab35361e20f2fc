"""opencode in a real terminal, where only localhost's redirect URIs are registered."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Meet
from .helpers import HELPER, PASTE
from .idp import ISSUER, Idp
from .opencode import QUIET, Opencode
from .outcome import signed_in
from .outside import Outside
from .processes import OPENCODE, wait_until
from .terminal import Terminal, link_in, terminal_at


@pytest.fixture
def beyond(locked_idp: Idp) -> Outside:
    return locked_idp.outside


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with terminal_at(tmp_path / "tmux") as one:
        yield one


def environment(instance: Opencode, idp: Idp) -> dict[str, str]:
    return {
        **QUIET,
        **idp.outside.environment,
        "PATH": os.environ["PATH"],
        "HOME": str(instance.home),
        "TERM": "xterm-256color",
        "OPENCODE_MODELS_PATH": str(instance.home / "models.json"),
    }


def connect(terminal: Terminal, instance: Opencode, idp: Idp, way: str, *, lines: int = 24) -> None:
    """Choose the first way in the terminal UI's dialog, which it opens by itself at first."""
    argv = [str(OPENCODE), "attach", instance.url]
    terminal.run(argv, environment(instance, idp), columns=80, lines=lines)
    terminal.shows("Other Custom provider")
    terminal.type("OpenAI")
    wait_until(lambda: "Custom provider" not in terminal.window(), "only OpenAI is left")
    terminal.shows("OpenAI (ChatGPT")
    terminal.type("Enter")
    terminal.shows("Select auth method")
    assert way in terminal.window()
    terminal.type("Enter")
    terminal.shows(ISSUER)


def test_paste_into_a_terminal(
    meet: Meet, terminal: Terminal, locked_instance: Opencode, locked_idp: Idp
) -> None:
    alice = meet("alice")
    env = environment(locked_instance, locked_idp)
    terminal.run([str(OPENCODE), "auth", "login"], env, columns=100, lines=40)
    terminal.shows("Select provider")
    terminal.type("OpenAI", "Enter")
    terminal.shows(PASTE)
    terminal.type("Enter")
    screen = terminal.shows("Paste the authorization code here")
    assert PASTE in screen  # still: opencode asks for an "authorization code"
    link = re.search(r"Go to: (\S+)", screen)
    assert link

    terminal.paste(alice.reach_localhost(alice.open(link[1])))
    terminal.shows("Login successful")
    locked_instance.dispose()
    signed_in(alice, locked_instance, locked_idp)


def test_input_and_title_are_in_a_window_of_80_by_24(
    meet: Meet, terminal: Terminal, locked_instance: Opencode, locked_idp: Idp
) -> None:
    """The dialog does not scroll: what a longer link pushes out of the window is gone."""
    alice = meet("alice")
    connect(terminal, locked_instance, locked_idp, PASTE)
    terminal.shows("Authorization code")  # in the input, as long as it is empty
    assert PASTE in terminal.window()

    terminal.paste(alice.reach_localhost(alice.open(link_in(terminal.window(), ISSUER))))
    wait_until(locked_instance.account, "opencode has an account")
    signed_in(alice, locked_instance, locked_idp)


def test_pairing_code_and_title_are_in_a_window_of_80_by_24(
    terminal: Terminal, carried_instance: Opencode, locked_idp: Idp
) -> None:
    connect(terminal, carried_instance, locked_idp, HELPER)
    wait_until(
        lambda: re.search(r": [0-9A-Z]{4}-[0-9A-Z]{4}\b", terminal.window()), "the code is shown"
    )
    assert HELPER in terminal.window()
