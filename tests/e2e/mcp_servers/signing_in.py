"""Signing in to an MCP server from opencode's dialog, and what it came to."""

import json
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.mcp import McpServer
from tests.e2e.opencode import QUIET, Opencode
from tests.e2e.outside import Outside
from tests.e2e.person import Dialog, Person
from tests.e2e.processes import Restartable, wait_until

LINE = "MCP servers (via relay)"
VIA_RELAY = "Via relay"
CARRIED = "With its extension or catcher"
PASTED = "Refused the relay? Paste"
PROVIDER = "mcp-servers"


@dataclass(frozen=True)
class Place:
    """An opencode, and the MCP servers of its configuration."""

    served: Restartable[Opencode]
    servers: dict[str, McpServer]

    @property
    def opencode(self) -> Opencode:
        return self.served.now

    def status(self, name: str, directory: str = "") -> str:
        """What opencode says of a server, in one of its open projects."""
        query = f"?{httpx.QueryParams(directory=directory)}" if directory else ""
        return str(self.opencode.get(f"/mcp{query}")[name]["status"])

    def entry(self, name: str) -> dict[str, Any]:
        """What opencode's own file holds of a server."""
        stored = self.opencode.home / ".local/share/opencode/mcp-auth.json"
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        found: dict[str, dict[str, Any]] = json.loads(stored.read_text())
        return found[name]

    def tokens_of(self, person: Person, name: str) -> list[dict[str, Any]]:
        """Every time that the server gave this person tokens, oldest first."""
        return [one for one in self.servers[name].events("token") if one["account"] == person.name]

    def signed_in(self, person: Person, name: str) -> None:
        """opencode holds what the server gave this person, and is connected."""

        def held() -> bool:
            given = self.tokens_of(person, name)[-1:]
            with suppress(OSError, ValueError, KeyError):  # not there yet, or just being written
                kept = self.entry(name)["tokens"]
                return [(kept["accessToken"], kept["refreshToken"])] == [
                    (one["access_token"], one["refresh_token"]) for one in given
                ]
            return False

        wait_until(held, f"what {name} gave this person is held")
        wait_until(lambda: self.status(name) == "connected", f"{name} is connected")

    def never_signed_in(self, person: Person, name: str) -> None:
        assert self.tokens_of(person, name) == []


def environment(served: Opencode, proxy: Outside) -> dict[str, str]:
    """What a command of opencode's runs with, as the server's own user."""
    return {
        **QUIET,
        **proxy.environment,
        "PATH": os.environ["PATH"],
        "HOME": f"{served.home}",
        "TERM": "xterm-256color",
        "OPENCODE_MODELS_PATH": f"{served.home / 'models.json'}",
    }


def needs_sign_in(served: Opencode, names: Iterable[str]) -> None:
    """Wait until the menu says so of every server."""

    def waiting() -> set[str]:
        menu = served.get("/provider/auth")[PROVIDER][0]["prompts"][0]["options"]
        return {one["value"] for one in menu if one["hint"].endswith("needs a sign-in")}

    wait_until(lambda: set(names) <= waiting(), "the menu says who needs a sign-in")


def choose(person: Person, opencode_url: str, name: str, way: str = VIA_RELAY) -> Dialog:
    """Settings, Providers, Show more providers, the line, the way, and which server."""
    page = person.providers(opencode_url)
    page.get_by_role("button", name="Show more providers").click()
    page.get_by_role("dialog").last.get_by_role("button", name=LINE).click()
    dialog = Dialog(page, LINE)
    dialog.box.get_by_role("button", name=way).click()
    dialog.box.get_by_role("button", name=re.compile(rf"^{name} 127\.")).click()
    return dialog


def connect(person: Person, opencode_url: str, name: str, way: str = VIA_RELAY) -> Dialog:
    dialog = choose(person, opencode_url, name, way)
    dialog.box.get_by_role("link", name="this link").wait_for()
    return dialog


def answer(person: Person, page: Page, decision: str = "Allow") -> Page:
    """Sign in at the MCP server, or decline there."""
    page.get_by_label("Account").fill(person.name)
    page.get_by_role("button", name=decision).click()
    return page


def reach_relay(person: Person, page: Page, decision: str = "Allow") -> Page:
    """Sign in at the MCP server, which leads to the relay's page."""
    answer(person, page, decision)
    page.wait_for_url("**/auth/callback?**")
    return page


def failed_page(person: Person, page: Page) -> str:
    """Sign in at the MCP server; the address of the page that then does not load."""
    with page.expect_request("http://localhost:1455/auth/callback?**") as request:
        answer(person, page)
    return request.value.url


def names(page: Page, name: str, server: McpServer) -> None:
    """The relay's page says where it is that the person signs in."""
    host = httpx.URL(server.url).netloc.decode()
    expect(page.get_by_role("main")).to_contain_text(f"{name} ({host})")
