"""What a server's words can do in the terminal of the operator who looks at it."""

import pytest
from opencode_relay.cli.shown import as_text, print_table

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4=\x07"
CLEARED = "\x1b[2J\x1b[1;1H"
TURNED = "\u202e\u2066"
MARKUP = "[bold red]x[/bold red] [link=https://evil.example]y[/link] :skull:"


class TestTextOfAServerInAnOperatorsTerminal:
    """Our own doctor: a problem's detail wrote into the clipboard and cleared the screen."""

    @pytest.mark.parametrize("harm", [CLIPBOARD, CLEARED, "\x9b2J", TURNED, "a\rAll is well."])
    def test_nothing_of_it_acts(self, harm: str) -> None:
        assert as_text(harm).isprintable()

    def test_a_table_shows_it_as_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_table(["Name"], [[MARKUP], [CLIPBOARD + TURNED]])
        shown = capsys.readouterr().out
        assert MARKUP in shown
        assert all(line.isprintable() for line in shown.splitlines())
