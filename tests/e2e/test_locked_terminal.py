"""`opencode auth login` in a real terminal, where only localhost's redirect URIs are registered."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Meet
from .helpers import PASTE
from .idp import Idp
from .opencode import QUIET, Opencode
from .outcome import signed_in
from .outside import Outside
from .processes import OPENCODE, wait_until


class Terminal:
    """A tmux of its own, of the size that a terminal has."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str, text: str = "") -> str:
        argv = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(argv, input=text, text=True, check=True, capture_output=True).stdout

    def run(self, command: list[str], env: dict[str, str]) -> None:
        size = ("-x", "100", "-y", "40")
        variables = [f"{name}={value}" for name, value in env.items()]
        self.tmux("new-session", "-d", *size, "env", "-i", *variables, *command)
        self.tmux("set-option", "remain-on-exit", "on")

    def screen(self) -> str:
        """What a person sees, with the lines that the terminal broke put together."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-")

    def shows(self, words: str) -> str:
        wait_until(lambda: words in self.screen(), f"the terminal shows {words!r}")
        return self.screen()

    def type(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def paste(self, text: str) -> None:
        self.tmux("load-buffer", "-", text=text)
        self.tmux("paste-buffer", "-p")
        self.type("Enter")


@pytest.fixture
def beyond(locked_idp: Idp) -> Outside:
    return locked_idp.outside


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if not shutil.which("tmux"):
        pytest.skip("not installed: tmux")
    one = Terminal(tmp_path / "tmux")
    yield one
    one.tmux("kill-server")


def test_paste_into_a_terminal(
    meet: Meet, terminal: Terminal, locked_instance: Opencode, locked_idp: Idp
) -> None:
    alice = meet("alice")
    home = locked_instance.home
    env = {
        **QUIET,
        **locked_idp.outside.environment,
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm-256color",
        "OPENCODE_MODELS_PATH": str(home / "models.json"),
    }
    terminal.run([str(OPENCODE), "auth", "login"], env)
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
