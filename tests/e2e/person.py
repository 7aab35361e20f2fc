"""A person with a browser of their own: what they see, click, copy and type."""

import re
from contextlib import suppress
from dataclasses import dataclass
from re import Pattern

from playwright.sync_api import BrowserContext, Locator, Page, expect
from playwright.sync_api import TimeoutError as Late

FIRST = re.compile("ChatGPT(:| via relay)")
LOCALHOST_CALLBACK = re.compile(r"^http://localhost:1455/auth/callback\?")


@dataclass(frozen=True)
class Dialog:
    """opencode's dialog "Connect OpenAI", or another's, once a way of signing in was chosen."""

    page: Page
    provider: str = "OpenAI"

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def link(self) -> str:
        link = self.box.get_by_role("link", name="this link").get_attribute("href")
        assert link
        return link

    @property
    def pairing_code(self) -> str:
        return self.box.get_by_label("Confirmation code").input_value()

    def follow(self) -> Page:
        """Click the link: it opens in a new tab."""
        with self.page.context.expect_page() as opened:
            self.box.get_by_role("link", name="this link").click()
        return opened.value

    def paste(self, text: str) -> None:
        self.box.get_by_role("textbox").fill(text)
        with self.page.expect_response("**/provider/*/oauth/callback"):
            self.box.get_by_role("button", name="Continue").click()

    def refuses(self, text: str) -> None:
        self.paste(text)
        expect(self.box.get_by_role("alert")).to_be_visible()
        expect(self.box.get_by_role("button", name="Continue")).to_be_enabled()

    def closes_connected(self, provider: str = "") -> None:
        """The dialog goes away by itself, with opencode's word that it worked."""
        expect(self.box).to_have_count(0)
        expect(self.page.get_by_text(f"{provider or self.provider} connected")).to_be_visible()

    def fails(self) -> None:
        expect(self.box.get_by_text("Authorization failed")).to_be_visible()


@dataclass(frozen=True)
class Person:
    name: str
    browser: BrowserContext

    def connect(self, opencode_url: str) -> Dialog:
        """Settings, Providers, OpenAI, Connect, and the plugin's first way."""
        dialog = self.choose(opencode_url, FIRST)
        dialog.box.get_by_role("link", name="this link").wait_for()
        return dialog

    def choose(self, opencode_url: str, method: str | Pattern[str]) -> Dialog:
        row = self.provider(opencode_url)
        row.get_by_role("button", name="Connect", exact=True).click()
        dialog = Dialog(row.page)
        dialog.box.get_by_role("button", name=method).first.click()
        return dialog

    def disconnect(self, opencode_url: str) -> None:
        self.provider(opencode_url).get_by_role("button", name="Disconnect").click()

    def provider(self, opencode_url: str, name: str = "OpenAI") -> Locator:
        """A row in opencode's settings."""
        page = self.providers(opencode_url)
        return page.locator(".settings-v2-provider-row").filter(
            has=page.get_by_text(name, exact=True)
        )

    def find(self, opencode_url: str, provider: str) -> Dialog:
        """Settings, Providers, Show more providers, and one that is not of opencode's first."""
        page = self.providers(opencode_url)
        page.get_by_role("button", name="Show more providers").click()
        dialog = Dialog(page)
        dialog.box.get_by_text(provider, exact=True).click()
        return dialog

    def providers(self, opencode_url: str) -> Page:
        page = self.open(opencode_url)
        providers = page.get_by_role("tab", name="Providers")
        for _ in range(5):
            page.get_by_role("button", name="Settings").click()
            with suppress(Late):
                providers.wait_for(timeout=5_000)
                break
            page.reload()  # opencode may lose a click that comes while it starts, or break by it
        providers.click()
        return page

    def open(self, link: str) -> Page:
        page = self.browser.new_page()
        page.goto(link)
        return page

    def sign_in(self, page: Page) -> None:
        """Sign in at the identity provider, up to the question for consent."""
        account = page.locator("[name=login]")
        agree = page.get_by_role("button", name="Continue")
        account.or_(agree).wait_for()
        if account.is_visible():
            account.fill(self.name)
            page.locator("[name=password]").fill("any")
            page.get_by_role("button", name="Sign-in").click()
        agree.wait_for()

    def reach_relay(self, page: Page) -> Page:
        """Sign in and consent, which leads to the relay's page."""
        self.sign_in(page)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/auth/callback?**")
        return page

    def come_back(self, page: Page, public_url: str) -> Page:
        """Sign in and consent, and do nothing more: the browser ends at opencode's address."""
        self.sign_in(page)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(f"{public_url}/auth/callback?**")
        return page

    def bring_back(self, page: Page, public_url: str) -> str:
        """Sign in and consent; the address that would bring the response, which stays unsent."""
        back = f"{public_url}/auth/callback?response="
        page.route(lambda url: url.startswith(back), lambda route: route.abort())
        self.sign_in(page)
        with page.expect_event("requestfailed", lambda one: one.url.startswith(back)) as unsent:
            page.get_by_role("button", name="Continue").click()
        return str(unsent.value.url)

    def reach_localhost(self, page: Page) -> str:
        """Sign in and consent; the address of the page that then does not load."""
        self.sign_in(page)
        with page.expect_request(LOCALHOST_CALLBACK) as request:
            page.get_by_role("button", name="Continue").click()
        return request.value.url


def decide(page: Page, decision: str, code: str = "") -> None:
    """Answer the relay's question."""
    page.get_by_label("The code that").fill(code)
    page.get_by_role("button", name=decision).click()


def says(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
