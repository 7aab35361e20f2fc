"""The pages in a real Chromium: what a person, a keyboard and axe-core meet."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl

import pytest
import pytest_asyncio
import uvicorn
from opencode_relay.web.pages import About, Pages
from playwright.async_api import Browser, Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .gallery import ABOUT, OPENED_AT, SHOWS, Show

E2E = Path(__file__).parents[1] / "e2e"
AXE = E2E / "node_modules" / "axe-core" / "axe.min.js"
ARTIFACTS = E2E / "artifacts" / "pages"

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

STRANGER = About(None, "Ana's box", "Example ID", OPENED_AT, "2001:db8::7")
LONGEST = About("W" * 64, "שרת של אנה " * 5, "M" * 40, OPENED_AT, f"{'2001:0db8:' * 4}:7"[:39])

# All of the gallery, and those that only a browser can judge: long names, a stranger's.
VIEWS: dict[str, tuple[Show, About]] = {
    **{name: (show, ABOUT) for name, show in SHOWS.items() if not name.endswith("-alone")},
    **{f"{name}-longest": (SHOWS[name], LONGEST) for name in ("wrong-code", "completion")},
    "completion-stranger": (SHOWS["completion"], STRANGER),
    "refusal-alone": (SHOWS["refusal-NOT_FOUND-alone"], ABOUT),
    "onward": (lambda pages, about: pages.onward(about, address="/no-content?response=a"), ABOUT),
}

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_page = pytest.mark.parametrize("name", VIEWS)
both_schemes = pytest.mark.parametrize("scheme", SCHEMES)


class Site:
    """A loopback server that shows every page and writes down what comes back."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.pages = Pages(clock=lambda: OPENED_AT + 200)
        self.address = f"{origin}/return?response=eyJ.sealed&b=\"c'd&amp;<e>&lt;%26"
        self.forms: list[tuple[dict[str, list[str]], dict[str, str]]] = []
        self.returns: list[tuple[str, dict[str, str]]] = []
        self.app = Starlette(
            routes=[
                Route("/show/{name}", self.show),
                Route("/going-on", self.going_on),
                Route("/return", self.came_back),
                Route("/no-content", self.no_content),
                Route("/auth/confirm", self.confirm, methods=["POST"]),
                Route("/auth/{end}", self.end),
            ]
        )

    async def show(self, request: Request) -> Response:
        show, about = VIEWS[request.path_params["name"]]
        return show(self.pages, about)

    async def going_on(self, _: Request) -> Response:
        return self.pages.onward(ABOUT, address=self.address)

    async def came_back(self, request: Request) -> Response:
        self.returns.append((request.url.query, dict(request.headers)))
        return self.pages.done()

    async def no_content(self, _: Request) -> Response:
        return Response(status_code=204)  # a browser stays on the page that led here

    async def confirm(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode(), keep_blank_values=True)
        self.forms.append((form, dict(request.headers)))
        end = "done" if form["decision"] == ["allow"] else "declined"
        return RedirectResponse(f"/auth/{end}", status_code=303)

    async def end(self, request: Request) -> Response:
        return getattr(self.pages, request.path_params["end"])()  # type: ignore[no-any-return]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = Site(f"http://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(site.app, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield site
        server.should_exit = True
        await serving


@pytest.fixture
def site(running: Site) -> Site:
    running.forms.clear()
    running.returns.clear()
    return running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Without one on the path, Playwright's own is used.
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci` in tests/e2e")
    return AXE.read_text(encoding="utf-8")


@asynccontextmanager
async def page_of(
    chromium: Browser, size: str = "phone", **options: Any
) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open a fresh page; the list collects console messages, which include policy violations."""
    width, height = SIZES[size]
    context = await chromium.new_context(viewport={"width": width, "height": height}, **options)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page, said
    assert await context.cookies() == []
    await context.close()


class TestLooks:
    @every_page
    async def test_axe_finds_nothing_to_object_to(
        self, site: Site, chromium: Browser, axe: str, name: str
    ) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        async with page_of(chromium) as (page, said):
            await page.goto(f"{site.origin}/show/{name}")
            for (size, (width, height)), scheme in product(SIZES.items(), SCHEMES):
                await page.set_viewport_size({"width": width, "height": height})
                await page.emulate_media(color_scheme=scheme)
                await page.screenshot(
                    path=ARTIFACTS / f"{name}-{size}-{scheme}.png", full_page=True
                )
                report = await run_axe(page, axe)
                assert report["violations"] == []
                assert {"color-contrast", "document-title", "html-has-lang"} <= report["passes"]
        # A page's own 4xx is said, too; a style that the policy refuses would be the rest.
        assert not [words for words in said if "responded with a status of" not in words]

    async def test_axe_would_object(self, site: Site, chromium: Browser, axe: str) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/confirm")
            await page.evaluate("document.querySelector('label').remove()")
            await page.evaluate("document.querySelector('#code').placeholder = ''")
            await page.evaluate("document.querySelector('h1').style.color = '#ccc'")
            report = await run_axe(page, axe)
            assert {"label", "color-contrast"} <= set(report["violations"])

    @both_schemes
    async def test_the_style_gets_past_the_policy(
        self, site: Site, chromium: Browser, scheme: Any
    ) -> None:
        async with page_of(chromium, color_scheme=scheme) as (page, _):
            await page.goto(f"{site.origin}/show/done")
            colour = await page.evaluate("getComputedStyle(document.querySelector('main')).color")
            light = colour == "rgb(28, 33, 39)"
            assert light == (scheme == "light")

    @every_page
    async def test_fits_a_narrow_screen_and_loads_nothing_else(
        self, site: Site, chromium: Browser, name: str
    ) -> None:
        shown = f"{site.origin}/show/{name}"
        async with page_of(chromium) as (page, _):
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            # WCAG 2.2, 1.4.10: no sideways scrolling at 320 CSS pixels.
            await page.set_viewport_size({"width": 320, "height": 640})
            await page.goto(shown)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320
            assert [url for url in asked if "/no-content" not in url] == [shown]


class TestConfirm:
    async def test_enter_means_allow(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/confirm")
            await page.get_by_label("The code that the program on workshop-server shows").fill(
                "ktrw 9f2d"
            )
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/auth/done")
        ((form, headers),) = site.forms
        assert form == {
            "pairing_code": ["ktrw 9f2d"],
            "decision": ["allow"],
            "response": ["eyJ.sealed"],
            "token": ["t.k"],
        }
        assert headers["content-type"] == "application/x-www-form-urlencoded"

    async def test_the_relay_can_tell_its_own_form(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/confirm")
            await page.get_by_role("button", name="Deny").click()
            await page.wait_for_url("**/auth/declined")
        ((_, headers),) = site.forms
        assert headers["origin"] == site.origin  # under no-referrer it would be null
        assert headers["sec-fetch-site"] == "same-origin"

    async def test_deny_needs_no_code(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/confirm")
            await page.get_by_role("button", name="Deny").click()
            await page.wait_for_url("**/auth/declined")
        ((form, _),) = site.forms
        assert form["decision"] == ["deny"]
        assert form["pairing_code"] == [""]

    async def test_allow_needs_one(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/confirm")
            await page.get_by_role("button", name="Allow").click()
            assert await page.evaluate("document.activeElement.id") == "code"
            assert await page.evaluate("document.activeElement.validity.valueMissing")
            assert page.url.endswith("/show/confirm")
        assert site.forms == []

    async def test_allow_and_deny_are_of_one_size(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/confirm")
            looks = await page.evaluate(
                """() => [...document.querySelectorAll('button')].map(button => {
                    const style = getComputedStyle(button), box = button.getBoundingClientRect()
                    return [style.backgroundColor, [style.border, style.font,
                            box.width, box.height, box.top].join(' ')]
                })"""
            )
            [(allow, size), (deny, its_size)] = looks
            assert size == its_size
            assert allow != deny  # told apart at a glance

    async def test_a_wrong_code_is_where_attention_goes(
        self, site: Site, chromium: Browser
    ) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/wrong-code")
            field = page.get_by_label("The code that the program on workshop-server shows")
            error = await page.get_by_role("alert").inner_text()
            assert await field.evaluate("field => field === document.activeElement")
            snapshot = await page.context.new_cdp_session(page)
            tree = await snapshot.send("Accessibility.getFullAXTree")
            (node,) = [n for n in tree["nodes"] if n.get("role", {}).get("value") == "textbox"]
            description = node["description"]["value"]
            assert description.startswith(error)
            assert description.endswith("Never type a code that somebody else sent you.")
            states = {p["name"]: p["value"].get("value") for p in node["properties"]}
            assert states["invalid"] == "true"
            assert states["focused"]


class TestOnward:
    async def test_goes_on_by_itself(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium, java_script_enabled=False) as (page, _):
            await page.goto(f"{site.origin}/going-on")
            await page.wait_for_url("**/return?**")
        ((query, headers),) = site.returns
        assert parse_qsl(query) == parse_qsl(site.address.partition("?")[2])
        assert "referer" not in headers

    async def test_and_by_its_link(self, site: Site, chromium: Browser) -> None:
        async with page_of(chromium) as (page, _):
            await page.goto(f"{site.origin}/show/onward", wait_until="networkidle")
            link = page.get_by_role("link", name="Go on to the program on workshop-server")
            assert await link.evaluate("a => a.href") == (f"{site.origin}/no-content?response=a")


async def run_axe(page: Page, axe: str) -> dict[str, Any]:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    report = await page.evaluate("axe.run()")
    return {
        "violations": [found["id"] for found in report["violations"]],
        "passes": {found["id"] for found in report["passes"]},
    }
