"""A real terminal."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .processes import wait_until

DIALOG = slice(12, 68)  # the columns of opencode's, of 80


class Terminal:
    """A tmux of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str, text: str = "") -> str:
        argv = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(argv, input=text, text=True, check=True, capture_output=True).stdout

    def run(self, command: list[str], env: dict[str, str], columns: int, lines: int) -> None:
        size = (f"-x{columns}", f"-y{lines}")
        variables = [f"{name}={value}" for name, value in env.items()]
        self.tmux("new-session", "-d", *size, "env", "-i", *variables, *command)
        self.tmux("set-option", "remain-on-exit", "on")

    def screen(self) -> str:
        """What a person sees, with the lines that the terminal broke put together."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-")

    def window(self) -> str:
        """What stands in the window now, line by line."""
        return self.tmux("capture-pane", "-p")

    def shows(self, words: str) -> str:
        try:
            wait_until(lambda: words in self.screen(), f"the terminal shows {words!r}")
        except AssertionError as wrong:
            wrong.add_note(self.window())
            raise
        return self.screen()

    def type(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def paste(self, text: str) -> None:
        self.tmux("load-buffer", "-", text=text)
        self.tmux("paste-buffer", "-p")
        self.type("Enter")


def link_in(window: str, begins: str) -> str:
    """The link in opencode's dialog, of whose lines each is as wide as the dialog."""
    lines = [line[DIALOG].strip() for line in window.splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith(begins))
    return "".join(lines[start : lines.index("", start)])


@contextmanager
def terminal_at(socket: Path) -> Iterator[Terminal]:
    if not shutil.which("tmux"):
        pytest.skip("not installed: tmux")
    one = Terminal(socket)
    yield one
    one.tmux("kill-server")
