"""The picture of a sign-in for the README: what three screens show.

The words that were on them are in the file, so that a test can tell an old picture.
"""

import base64
import io
import re

from PIL import Image, PngImagePlugin  # comes with matplotlib
from playwright.sync_api import Locator, Page

from tests.docs.pages import ROOT

PICTURE = ROOT / "docs" / "images" / "sign-in.png"
NAMED = {  # what differs by machine and hour, and what the picture shows for it
    "Instance": "build server",
    "Calls itself": "opencode on build-server",
    "Opened": "less than a minute ago, good for 9 more",
    "Opened from": "203.0.113.7",
}
RENAME = """(named) => {
  for (const [term, shown] of Object.entries(named)) {
    const is = [...document.querySelectorAll("dt")].find((one) => one.textContent === term);
    const value = is.nextElementSibling, was = value.textContent;
    for (const one of document.querySelectorAll("bdi"))
      if (one.textContent === was) one.textContent = shown;
    if (!value.querySelector("bdi")) value.textContent = shown;
  }
}"""
LAID_OUT = """
<style>
body { margin: 0; background: #dfe3e8; font: 600 17px "DejaVu Sans", sans-serif; color: #3e4c59 }
main { display: flex; gap: 28px; padding: 22px 28px 28px; width: max-content }
figure { margin: 0 0 26px }
figcaption { padding-bottom: 12px }
img { display: block; border-radius: 10px; box-shadow: 0 2px 10px #0003 }
.top { width: 640px; height: 300px; object-fit: cover; object-position: top }
</style>
<main>
<div>
<figure><figcaption>1. opencode gives you a link and a code</figcaption>
<img class="top" src="0"></figure>
<figure><figcaption>3. opencode is signed in</figcaption><img src="2"></figure>
</div>
<figure><figcaption>2. You sign in, the relay asks</figcaption><img src="1"></figure>
</main>
"""


def rename(page: Page) -> None:
    """Give the relay's page names that say nothing of this machine."""
    page.set_viewport_size({"width": 470, "height": 500})
    page.evaluate(RENAME, NAMED)


class Screens:
    """What a person saw, one screen after the other."""

    def __init__(self) -> None:
        self.shots: list[bytes] = []
        self.words = ""

    def add(self, shown: Locator) -> None:
        self.shots.append(shown.screenshot())
        self.words = re.sub(r"\s+", " ", f"{self.words} {shown.inner_text()}").strip()

    def keep(self, page: Page) -> None:
        """Lay the screens out on a page, and write its picture in few colours."""
        laid_out = LAID_OUT
        for number, shot in enumerate(self.shots):
            data = f"data:image/png;base64,{base64.b64encode(shot).decode()}"
            laid_out = laid_out.replace(f'src="{number}"', f'src="{data}"')
        page.set_viewport_size({"width": 1400, "height": 900})
        page.set_content(laid_out)
        text = PngImagePlugin.PngInfo()
        text.add_itxt("Description", self.words)
        picture = Image.open(io.BytesIO(page.locator("main").screenshot())).convert("RGB")
        picture.quantize(64).save(PICTURE, optimize=True, pnginfo=text)


def kept_words() -> str:
    with Image.open(PICTURE) as picture:
        return str(picture.info["Description"])
