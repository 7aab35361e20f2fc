"""The README's picture shows what people see.

TAKE_PICTURE=1 uv run pytest tests/e2e/test_picture.py takes it anew.
"""

import os

from .conftest import Meet
from .opencode import Opencode
from .person import decide
from .picture import Screens, kept_words, rename


def test_picture_shows_what_people_see(meet: Meet, instance: Opencode) -> None:
    alice = meet("alice")
    dialog = alice.connect(instance.url)
    page = alice.reach_relay(dialog.follow())
    rename(page)
    page.get_by_label("The code that").fill(dialog.pairing_code)
    screens = Screens()
    screens.add(dialog.box)
    screens.add(page.locator("body"))
    decide(page, "Allow", dialog.pairing_code)
    screens.add(dialog.page.get_by_role("listitem").filter(has_text="OpenAI connected"))

    if os.environ.get("TAKE_PICTURE"):
        screens.keep(alice.browser.new_page())
    assert screens.words == kept_words()
