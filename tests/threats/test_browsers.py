"""What only a real browser shows: Chromium against a relay on loopback."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from opencode_relay.login import Status
from playwright.async_api import Page, async_playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.threats.conftest import Make
from tests.threats.world import CODE, World, form_of, listening, loopback

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
STEP = 5000  # ms that a page may take


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


@pytest.fixture
async def world(make_world: Make, stack: AsyncExitStack) -> World:
    """A relay that listens for real."""
    listener, origin = loopback()
    made = await make_world(public_url=origin)
    await stack.enter_async_context(listening(made.app, listener))
    return made


@pytest.fixture
async def page(stack: AsyncExitStack) -> Page:
    chromium = (await stack.enter_async_context(async_playwright())).chromium
    browser = await chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    stack.push_async_callback(browser.close)
    found = await browser.new_page()
    found.set_default_timeout(STEP)
    return found


async def another_site(stack: AsyncExitStack, **pages: Response) -> str:
    """Serve pages, and whatever else is asked for, as another site than the relay's."""

    async def show(request: Request) -> Response:
        return pages.get(request.url.path.strip("/"), Response("here", media_type="text/plain"))

    listener, origin = loopback()
    app = Starlette(routes=[Route("/{path:path}", show, methods=["GET", "POST"])])
    await stack.enter_async_context(listening(app, listener))
    return origin.replace("127.0.0.1", "localhost")


def callback_of(world: World, state: str) -> str:
    return f"{world.relay.issuer}/auth/callback?state={state}&code={CODE}"


class TestOriginNullOfNoReferrerPages:
    """A page under `no-referrer` posts `Origin: null` (Fetch §3.2): a check refuses every browser,
    and is then loosened to `null`, which any sandboxed frame can send.
    """

    @pytest.mark.parametrize("decision", ["Allow", "Deny"])
    async def test_a_real_browsers_button_works(
        self, world: World, page: Page, decision: str
    ) -> None:
        login = await world.open()
        await page.goto(callback_of(world, login.state))
        await page.get_by_label("The code that").fill(login.pairing_code)
        async with page.expect_response("**/auth/confirm") as pressed:
            await page.get_by_role("button", name=decision).click()
        assert (await pressed.value).status == 303
        status = (await world.row(login)).status
        assert status is (Status.RELEASED if decision == "Allow" else Status.DECLINED)

    async def test_null_is_refused(self, world: World) -> None:
        login = await world.open()
        shown = await world.callback(login)
        for headers in ({"Origin": "null"}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}):
            pressed = await world.press(shown, code=login.pairing_code, headers=headers)
            assert pressed.status_code == 403
        assert (await world.row(login)).status is Status.PENDING


class TestRedirectChainBlockedByTheIdPsFormAction:
    """FastMCP issues 2302 and 3372, Kanidm issue 3354; CSP 3 §6.3.1 (form-action)."""

    async def test_a_strict_provider_leads_to_the_instance(
        self, world: World, page: Page, stack: AsyncExitStack
    ) -> None:
        return_url = (await another_site(stack)).replace("localhost", "127.0.0.1") + "/auth/return"
        key = await world.enrol("house", [return_url])
        login = await world.open(key=key, delivery="redirect", return_url=return_url)
        consent = HTMLResponse(
            '<form method="post" action="/agreed"><button>Continue</button></form>',
            headers={"Content-Security-Policy": f"form-action 'self' {world.relay.issuer}"},
        )
        agreed = RedirectResponse(callback_of(world, login.state), 303)
        provider = await another_site(stack, consent=consent, agreed=agreed)
        await page.goto(f"{provider}/consent")
        await page.get_by_role("button").click()
        await expect(page).to_have_url(re.compile(re.escape(return_url)), timeout=STEP)
        sealed = parse_qs(urlsplit(page.url).query)["response"][0]
        assert world.unsealed(login, sealed)["code"] == CODE


class TestConsentGivenToAnotherSitesPage:
    """FastMCP issue 3519 and GHSA-6x8h-498w-gv8c, in a real browser: framed, posted."""

    async def test_the_confirm_page_is_not_shown_in_a_frame(
        self, world: World, page: Page, stack: AsyncExitStack
    ) -> None:
        login = await world.open()
        framing = HTMLResponse(f'<iframe src="{callback_of(world, login.state)}"></iframe>')
        evil = await another_site(stack, framing=framing)
        await page.goto(f"{evil}/framing")
        framed = page.frames[1]
        assert await framed.get_by_role("button", name="Allow").count() == 0

    async def test_a_form_posted_from_another_site_is_refused(
        self, world: World, page: Page, stack: AsyncExitStack
    ) -> None:
        login = await world.open()
        # Even an attacker who has fetched the form, and knows the code.
        fields = form_of(await world.callback(login))
        fields |= {"decision": "allow", "pairing_code": login.pairing_code}
        inputs = "".join(f'<input name="{n}" value="{v}">' for n, v in fields.items())
        target = f"{world.relay.issuer}/auth/confirm"
        form = f'<form method="post" action="{target}">{inputs}<button>Win</button></form>'
        evil = await another_site(stack, prize=HTMLResponse(form))
        await page.goto(f"{evil}/prize")
        async with page.expect_response("**/auth/confirm") as pressed:
            await page.get_by_role("button").click()
        assert (await pressed.value).status == 403
        assert (await world.row(login)).status is Status.PENDING
