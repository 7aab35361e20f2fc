"""What carries a person's browser from localhost to the relay: the catcher, the extension."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.extension.conftest import EXTENSION, id_of, save, status

from .opencode import USER
from .outside import Outside
from .person import Dialog, Person
from .processes import CHROMIUM, wait_until
from .proxies import PASSWORD
from .relays import RELAY

HELPER = "with its extension or catcher"
TYPE = "type the code its page shows"
PASTE = "paste the failed page's address"


@dataclass(frozen=True)
class Catcher:
    """What the program said so far on the person's terminal."""

    terminal: Path

    def says(self, words: str) -> None:
        wait_until(lambda: words in self.terminal.read_text(), f"the catcher says {words!r}")


@contextmanager
def catching(relay: str, terminal: Path) -> Iterator[Catcher]:
    """Run `opencode-relay catch` on this machine, which is everybody's."""
    with terminal.open("wb") as out:
        process = subprocess.Popen(
            [RELAY, "catch", "--relay", relay, "--once"], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        catcher = Catcher(terminal)
        catcher.says("Sign in now, in a browser on this machine.")
        yield catcher
    finally:
        process.terminate()
        process.wait(10)


def chromium_with_extension(
    browser: Browser,
    profile: Path,
    relay: str,
    beyond: Outside,
    names: str = "MAP *.test 127.0.0.1",
) -> BrowserContext:
    """Start another Chromium with the extension, and set the relay as a person does."""
    context = browser.browser_type.launch_persistent_context(
        profile,
        executable_path=CHROMIUM,
        headless=True,
        reduced_motion="reduce",
        ignore_https_errors=True,
        proxy=beyond.for_browsers,
        http_credentials={"username": USER, "password": PASSWORD},
        args=[
            "--no-sandbox",
            f"--disable-extensions-except={EXTENSION}",
            f"--load-extension={EXTENSION}",
            f"--host-resolver-rules={names}",
        ],
    )
    page = context.new_page()
    page.goto(f"chrome-extension://{id_of(EXTENSION)}/options.html")
    expect(status(page)).to_contain_text("Enter its address and press Save")
    save(page, relay)
    expect(status(page)).to_have_text(
        f"Active: sign-ins that your opencode opened are carried to {relay}."
    )
    page.close()
    return context


def choose(person: Person, opencode_url: str, way: str) -> Dialog:
    """Connect OpenAI in this way; opencode's dialog then has its link."""
    dialog = person.choose(opencode_url, way)
    dialog.box.get_by_role("link", name="this link").wait_for()
    return dialog


def agree(person: Person, page: Page, then: str) -> Page:
    """Sign in and consent, and do nothing more: the browser ends at this origin's callback."""
    person.sign_in(page)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(re.compile(rf"^{re.escape(then)}/auth/callback\?"))
    return page


def reads(page: Page, sentence: str) -> None:
    """The page tells the person what to do."""
    expect(page.get_by_role("main")).to_contain_text(sentence)
