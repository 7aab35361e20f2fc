"""In a terminal the same is offered: by `opencode auth login`, and by the terminal UI."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import Meet
from tests.e2e.outside import Outside
from tests.e2e.person import decide, says
from tests.e2e.processes import OPENCODE, wait_until
from tests.e2e.terminal import Terminal, link_in, terminal_at

from .signing_in import PROVIDER, Place, environment, reach_relay

# In the link, too, four may stand beside four.
CODE = re.compile(r"(?<![\w-])[0-9A-Z]{4}-[0-9A-Z]{4}(?![\w-])")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with terminal_at(tmp_path / "tmux") as one:
        yield one


def test_menu_link_and_code(meet: Meet, place: Place, terminal: Terminal, proxy: Outside) -> None:
    env = environment(place.opencode, proxy)
    login = [f"{OPENCODE}", "auth", "login", "--provider", PROVIDER]
    terminal.run(login, env, columns=100, lines=40)
    terminal.shows("Via relay. If asked, paste")
    terminal.type("Enter")
    terminal.shows("Which MCP server?")
    terminal.type("Enter")
    screen = terminal.shows("enter this code")
    link = re.search(r"Go to: (\S+)", screen)
    code = CODE.search(screen)
    assert link
    assert code

    alice = meet("alice")
    page = reach_relay(alice, alice.open(link[0].removeprefix("Go to: ")))
    decide(page, "Allow", code[0])
    says(page, "Sign-in allowed")
    terminal.shows("Login successful")
    place.opencode.connect("any")
    place.signed_in(alice, "any")


def test_dialog_of_a_terminal_ui_that_is_attached(
    meet: Meet, place: Place, terminal: Terminal, proxy: Outside
) -> None:
    def only(line: str, another: str) -> None:
        """Filter the dialog's list; what is typed before it listens is lost."""

        def isolated() -> bool:
            if "Search" in terminal.window():
                terminal.type(line)
                with suppress(AssertionError):
                    wait_until(lambda: "Search" not in terminal.window(), "it is typed", 10)
            return line in terminal.window() and another not in terminal.window()

        wait_until(isolated, f"only {line} is left")

    attach = [f"{OPENCODE}", "attach", place.opencode.url]
    terminal.run(attach, environment(place.opencode, proxy), columns=80, lines=24)
    terminal.shows("Ask anything")
    terminal.type("/connect")
    terminal.shows("/connect")
    terminal.type("Enter")
    terminal.shows("Connect a provider")
    only("MCP servers (via relay)", "OpenAI")
    terminal.type("Enter")
    terminal.shows("Via relay. If asked")
    terminal.type("Enter")
    terminal.shows("Which MCP server?")
    only("any", "other")  # first are those that nobody has signed in to yet
    terminal.type("Enter")
    wait_until(lambda: CODE.search(terminal.window()), "the code is shown")
    window = terminal.window()
    code = CODE.search(window)
    assert code

    alice = meet("alice")
    page = reach_relay(alice, alice.open(link_in(window, "http://127.0.0.1")))
    decide(page, "Allow", code[0])
    says(page, "Sign-in allowed")
    wait_until(lambda: place.tokens_of(alice, "any"), "she is given tokens")
    place.signed_in(alice, "any")


def test_terminal_ui_starts_and_offers_no_model(
    place: Place, terminal: Terminal, proxy: Outside, tmp_path: Path
) -> None:
    # It is killed at the end: with locks of its own, so that nobody waits for those it leaves.
    own = {f"XDG_{kind}_HOME": f"{tmp_path / kind}" for kind in ("STATE", "DATA")}
    env = environment(place.opencode, proxy) | own
    terminal.run([f"{OPENCODE}"], env, columns=80, lines=24)
    terminal.shows("Ask anything")
    terminal.type("/models")
    terminal.shows("/models")
    terminal.type("Enter")
    terminal.shows("Select model")
    terminal.shows("No results found")
