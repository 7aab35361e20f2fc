"""Makes the screenshots of docs/sign-in.md: the relay's pages and the extension's options.

uv run --group dev python -m tests.docs.make_images
"""

import io
import shutil
import tempfile

from opencode_relay.web.pages import About, Pages
from PIL import Image  # type: ignore[import-not-found,unused-ignore]  # for this alone
from playwright.sync_api import Locator, Playwright, sync_playwright

from tests.docs.pages import ROOT
from tests.extension.conftest import EXTENSION, id_of, save, status
from tests.web.gallery import OPENED_AT

IMAGES = ROOT / "docs" / "images"
RELAY = "https://relay.example.com"
ABOUT = About(
    "build server", "opencode on build-server", "ChatGPT", OPENED_AT, "203.0.113.7", OPENED_AT + 600
)


def keep(name: str, shot: Locator) -> None:
    """Write what is there now, in few colours: a quarter of the bytes."""
    picture = Image.open(io.BytesIO(shot.screenshot())).convert("RGB").quantize(48)
    picture.save(IMAGES / f"{name}.png", optimize=True)


def pages(playwright: Playwright) -> None:
    made = Pages(clock=lambda: OPENED_AT + 120)
    shown = {
        "confirm": made.confirm(ABOUT, response="", token=""),
        "completion": made.completion(ABOUT, completion_code="KTRW-9F2D"),
        "done": made.done(),
    }
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
    page = browser.new_page(viewport={"width": 390, "height": 500})
    for name, answer in shown.items():
        page.set_content(bytes(answer.body).decode())
        keep(name, page.locator("html"))
    browser.close()


def options(playwright: Playwright) -> None:
    with tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            headless=True,
            viewport={"width": 480, "height": 500},
            args=[
                "--no-sandbox",
                f"--disable-extensions-except={EXTENSION}",
                f"--load-extension={EXTENSION}",
            ],
        )
        page = context.new_page()
        page.goto(f"chrome-extension://{id_of(EXTENSION)}/options.html")
        status(page).filter(has_not_text="Looking up").wait_for()
        save(page, RELAY)
        status(page).filter(has_text=RELAY).wait_for()
        keep("extension", page.locator("html"))
        context.close()


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as started:
        pages(started)
        options(started)
