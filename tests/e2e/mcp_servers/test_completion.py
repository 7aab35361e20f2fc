"""With a relay whose operator demands that its code is typed into opencode."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Meet
from tests.e2e.person import says
from tests.e2e.relays import origin, relay_at
from tests.support.ports import free_port

from .conftest import Open
from .signing_in import Place, connect, reach_relay


@pytest.fixture
def asked_place(world: Path, open_place: Open) -> Iterator[Place]:
    port, home = free_port(), world / "mcp-asking-relay"
    with (
        relay_at(
            origin(port), port, home, registered=False, confirmation="completion_code"
        ) as relay,
        open_place("mcp-asked", **relay.options) as place,
    ):
        yield place


def test_the_relays_code_is_typed(meet: Meet, asked_place: Place) -> None:
    alice = meet("alice")
    dialog = connect(alice, asked_place.opencode.url, "any")
    page = reach_relay(alice, dialog.follow())
    says(page, "Type this code into the program")
    code = page.locator("code").inner_text()
    dialog.refuses("0000-0000" if code != "0000-0000" else "1111-1111")
    asked_place.never_signed_in(alice, "any")
    dialog.paste(code)
    dialog.closes_connected()
    asked_place.signed_in(alice, "any")
