"""Plays the person of the demo: does over HTTP what a person does in a browser."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx

from opencode_relay.secret import Secret

from .told import DemoFailed, Told

NAME = "ada"


class Person:
    """Signs in at the demo's identity provider and goes where the pages lead."""

    def __init__(self, told: Told, web: httpx.Client) -> None:
        self._told = told
        self._web = web

    def sign_in(self, link: str) -> httpx.Response:
        """Return the relay's page, however the browser came there."""
        page = self._web.get(link)
        self._told.step("person", "opened the link", status=page.status_code)
        form = hidden_fields(page) | {"login": NAME}
        answer = self._web.post(page.url.copy_with(query=None), data=form)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise DemoFailed("The identity provider did not redirect.")
        where = answer.headers["location"]
        self._told.step("identity provider", "redirects", to=where.partition("?")[0])
        page = self._web.get(where)
        refresh = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)
        if refresh:
            self._told.step("catcher", "sends the browser on to the relay", status=page.status_code)
            page = self._web.get(unescape(refresh[1]))
        if page.status_code != httpx.codes.OK:
            raise DemoFailed(f"The relay's page answers {page.status_code}.")
        return page

    def allow(self, page: httpx.Response, code: str) -> None:
        """Type the pairing code into the confirm page and press Allow."""
        self._told.step("relay", "asks for the pairing code", status=page.status_code)
        parts = urlsplit(str(page.url))
        origin = f"{parts.scheme}://{parts.netloc}"
        form = hidden_fields(page) | {"pairing_code": code, "decision": "allow"}
        answer = self._web.post(f"{origin}/auth/confirm", data=form, headers={"Origin": origin})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise DemoFailed("The relay did not accept the pairing code.")
        sealed = Secret(form["response"])
        typed = Secret(code)
        what = "typed the code and pressed Allow"
        self._told.step("person", what, pairing_code=typed, response=sealed)

    def completion_code(self, page: httpx.Response) -> str:
        """Read the completion code off the relay's page."""
        shown = re.search(r"<code[^>]*>([0-9A-Z]{4}-[0-9A-Z]{4})</code>", page.text)
        if shown is None:
            raise DemoFailed("The relay's page shows no completion code.")
        code = Secret(shown[1])
        self._told.step("relay", "shows a completion code", completion_code=code)
        return shown[1]


class _Hidden(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and found.get("type") == "hidden":
            self.fields[found["name"] or ""] = found["value"] or ""


def hidden_fields(page: httpx.Response) -> dict[str, str]:
    parser = _Hidden()
    parser.feed(page.text)
    return parser.fields
