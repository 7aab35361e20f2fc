"""What came from outside, shown in a terminal: as text, whatever it is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

_ANY = 1_000_000  # columns, more than a table has


def as_text(value: object) -> str:
    """Return one line in which nothing acts on a terminal.

    Escape sequences write into a clipboard (OSC 52) or clear what was shown, and controls of
    direction turn one address into another: each is shown as U+FFFD.
    """
    return "".join(one if one.isprintable() else "\ufffd" for one in str(value))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | Sequence[str]]]) -> None:
    """Print a table; a cell is a text, or several under each other.

    An address or an ID that goes on in another line is another one to whoever copies it, and to
    `grep`. So no cell is folded: a table goes whole into a pipe or a file, and for a terminal that
    is too narrow each row is a paragraph, whose lines the terminal wraps.
    """
    lists = [[[cell] if isinstance(cell, str) else cell for cell in row] for row in rows]
    texts = [[[as_text(line) for line in cell] for cell in row] for row in lists]
    table = Table(*headings)
    for row in texts:
        table.add_row(*("\n".join(cell) for cell in row))
    # [brackets] in a name or an IPv6 address, and :names: of emoji, are no markup.
    console = Console(markup=False, emoji=False, highlight=False)
    width = console.measure(table, options=console.options.update(max_width=_ANY)).maximum
    if sys.stdout.isatty() and width > console.width:
        _print_paragraphs(headings, texts)
    else:
        console.width = width
        console.print(table)


def _print_paragraphs(headings: Sequence[str], rows: Iterable[Sequence[Sequence[str]]]) -> None:
    for number, row in enumerate(rows):
        if number:
            print()
        for heading, cell in zip(headings, row, strict=True):
            for line in cell:
                print(f"{heading}: {line}")
