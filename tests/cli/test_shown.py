"""What came from outside reaches a terminal as text, in every command."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from opencode_relay.cli.demo.told import Told
from opencode_relay.cli.shown import as_text, print_table
from opencode_relay.instances import Instance
from opencode_relay.stores.sqlite import SQLiteStore

from tests.support.served import run_here

HARM = "\x1b]52;c;cm0=\x07\x1b[2J\x9b2J\u202e\u2066\u2028\r\n\ud800\x7f"
MARKUP = "[bold]x[/bold] [/x] :skull:"


@pytest.mark.parametrize("one", HARM.replace("]52;c;cm0=", "").replace("[2J", "").replace("2J", ""))
def test_a_control_is_replaced(one: str) -> None:
    assert as_text(f"a{one}b") == "a\ufffdb"


@pytest.mark.parametrize("text", ["Zoë’s köln", "日本語", "(x) [y] <z>", "👍"])
def test_text_stays_text(text: str) -> None:
    assert as_text(text) == text


def test_a_table_has_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", "B"], [[MARKUP, [HARM, "c"]]])
    shown = capsys.readouterr().out
    assert MARKUP in shown
    assert harmless(shown)


HEADINGS = ["ID", "URLs"]
LONG = [f"https://{'a' * 300}.example/{n}" for n in range(2)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        print_table(HEADINGS, [["one", LONG], ["two", []], ["three", "x"]])
    return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())


@pytest.mark.parametrize("columns", ["20", "80", "1000"])
def test_a_pipe_gets_every_cell_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(HEADINGS, [["日本語", LONG], ["two", []]])
    shown = capsys.readouterr().out
    assert "│ 日本語" in shown
    for text in LONG:
        assert shown.count(text) == 1


def test_a_narrow_terminal_gets_paragraphs_of_whole_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on_terminal(monkeypatch, 40).split("\n") == [
        "ID: one",
        *(f"URLs: {url}" for url in LONG),
        "",
        "ID: two",
        "",
        "ID: three",
        "URLs: x",
        "",
    ]


def test_a_wide_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_terminal(monkeypatch, 400)
    assert "│ one" in shown
    assert all(url in shown for url in LONG)


def harmless(shown: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in shown)


@pytest.fixture
def enrolled(data: Path) -> Instance:
    """An instance whose name no version of ours would take: its row was written by others."""
    instance, _ = Instance.enrol("good", [], 0)
    spoilt = replace(
        instance, name=HARM.replace("\ud800", "") + MARKUP, return_urls=(f"https://x/{HARM[:9]}",)
    )
    data.mkdir()
    store = SQLiteStore(data)
    assert asyncio.run(store.add_instance(spoilt))
    store.close()
    return spoilt


@pytest.mark.parametrize("command", [("list",), ("update", "--new-key")], ids=["list", "update"])
def test_an_instance_is_shown_as_text(
    enrolled: Instance, data: Path, command: tuple[str, ...]
) -> None:
    more = (enrolled.id,) if command[0] == "update" else ()
    done = run_here("instances", *command, *more, "--data", data)
    assert done.returncode == 0
    assert harmless(done.stdout)
    assert "[bold]" in done.stdout


def test_json_is_ascii_and_means_the_same(enrolled: Instance, data: Path) -> None:
    done = run_here("instances", "list", "--data", data, "--json")
    assert done.stdout.isascii()
    assert harmless(done.stdout)
    assert json.loads(done.stdout)[0]["name"] == enrolled.name


def test_an_error_is_shown_as_text() -> None:
    done = run_here("instances", "list", "--data", f"/nowhere/{HARM}")
    assert done.returncode == 1
    assert harmless(done.stderr)


def test_the_demo_tells_text(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(as_json=False)
    told.step("relay", "says", error=HARM)
    told.end(HARM)
    assert harmless(capsys.readouterr().out)
