"""What came from outside, shown in a terminal: as text, whatever it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def as_text(value: object) -> str:
    """Return one line in which nothing acts on a terminal.

    Escape sequences write into a clipboard (OSC 52) or clear what was shown, and controls of
    direction turn one address into another: each is shown as U+FFFD.
    """
    return "".join(one if one.isprintable() else "\ufffd" for one in str(value))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | Sequence[str]]]) -> None:
    """Print a table; a cell is a text, or several under each other."""
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")  # an address cut short is another address
    for row in rows:
        cells = [[cell] if isinstance(cell, str) else cell for cell in row]
        table.add_row(*("\n".join(map(as_text, cell)) for cell in cells))
    # [brackets] in a name or an IPv6 address, and :names: of emoji, are no markup.
    Console(markup=False, emoji=False, highlight=False).print(table)
