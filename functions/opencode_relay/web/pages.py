"""The pages that a person's browser sees.

No script, no cookie, no request to any other host. Everything a page shows is
our own text, but for the names and the address in `About`: Jinja2 and
`Markup` escape those, and `<bdi>` keeps a name written from right to left
from reordering the words around it.
"""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from opencode_relay import REPOSITORY

from .headers import EVERYWHERE
from .sentences import DECLINED, DONE, IDP_ERRORS, NOT_CARRIED, UNKNOWN_IDP_ERROR, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEMPLATES = Path(__file__).parent / "templates"
COMPILED = _TEMPLATES / "compiled"
# Compiled where the artifact for AWS was built, for the sake of its first page. One for a process,
# for Jinja2 keeps a weak proxy of it among Python's modules, and a dead one trips who looks at all.
_LOADER = ChoiceLoader([ModuleLoader(COMPILED), FileSystemLoader(_TEMPLATES)])
_STYLE = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_HEADERS = EVERYWHERE | {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}

_MINUTE, _HOUR = 60, 3600
_ISOLATED = Markup("<bdi>%s</bdi>")
_ON = Markup("the program on %s")


@dataclass(frozen=True, slots=True)
class About:
    """What a page may say of a login. Times are Unix seconds."""

    registered_name: str | None  # None: the caller is not enrolled
    calls_itself: str | None
    provider: str | None
    opened_at: float
    opened_from: str
    good_until: float | None = None  # Unix seconds; None where it is over

    @property
    def name(self) -> str | None:
        return self.registered_name or self.calls_itself


class Pages:
    """Every page of a relay. `repository` has the documentation, if it is known."""

    def __init__(
        self, *, clock: Callable[[], float] = time.time, repository: str = REPOSITORY
    ) -> None:
        self._clock = clock
        self._repository = repository
        self._kept: dict[tuple[str, str, str], str] = {}
        self._templates = Environment(
            loader=_LOADER,
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["style"] = Markup(_STYLE)  # noqa: S704 - our own file

    def compile(self) -> None:
        """Compile the templates to Python, for the artifact."""
        self._templates.loader = FileSystemLoader(_TEMPLATES)
        self._templates.compile_templates(COMPILED, ["html"], zip=None, ignore_errors=False)

    def confirm(
        self, about: About, *, response: str, token: str, wrong_code: bool = False
    ) -> HTMLResponse:
        """Ask for the pairing code; `response` is the sealed one, `token` binds this rendering."""
        return self._page(
            "confirm.html",
            422 if wrong_code else 200,
            about,
            # Under no-referrer a browser posts `Origin: null`, which is refused.
            referrer_policy="same-origin",
            title="Allow this sign-in?",
            response=response,
            token=token,
            wrong_code=wrong_code,
        )

    def completion(self, about: About, *, completion_code: str) -> HTMLResponse:
        return self._page(
            "completion.html",
            200,
            about,
            title="Type this code into the program",
            completion_code=completion_code,
        )

    def onward(self, about: About, *, address: str) -> HTMLResponse:
        """Send the browser on to `address`, an absolute http(s) URL.

        Not a 3xx: browsers hold a chain of redirects to the provider's own `form-action`.
        """
        return self._onward(address, _names(about)["instance"])

    def carry(self, relay: str, *, address: str) -> HTMLResponse:
        """Send the browser on to `address` at the relay, from the person's own machine."""
        return self._onward(address, _ISOLATED % relay)

    def _onward(self, address: str, to: Markup) -> HTMLResponse:
        html = self._onward_page.substitute(address=escape(address), instance=to)
        return self._answer(html, 200)

    @cached_property
    def _onward_page(self) -> Template:
        """The page with two blanks: rendering all of it was a tenth of a `redirect` callback."""
        blanks = {"address": "$address", "instance": "$instance"}
        return Template(self._render("onward.html", None, title="Signing you in", **blanks))

    def not_carried(self, status: int, relay: str) -> HTMLResponse:
        """Say that what came is not for `relay`; nothing of it is shown."""
        title, happened, then = NOT_CARRIED
        text = (title, Markup(happened).format(relay=relay), then)  # noqa: S704 - our own sentence
        return self._message(status, text)

    def idp_error(self, about: About, *, error: str) -> HTMLResponse:
        """Explain the provider's `error` in our own words; what it sent is never shown."""
        happened, then = IDP_ERRORS.get(error, UNKNOWN_IDP_ERROR)
        happened = "Signing in with {provider} did not work. " + happened
        return self._message(200, ("Not signed in", happened, then), about)

    def landing(self) -> HTMLResponse:
        """Tell whoever comes to the relay's bare address what it is."""
        return self._answer(self._landing_page, 200)

    @cached_property
    def _landing_page(self) -> str:
        title = "Sign-ins begin in opencode"
        return self._render("landing.html", None, title=title, repository=self._repository)

    def done(self) -> HTMLResponse:
        return self._message(200, DONE)

    def declined(self) -> HTMLResponse:
        return self._message(200, DECLINED)

    def refusal(
        self,
        reason: Refusal,
        *,
        about: About | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """Answer with the reason's status and page; `headers` adds such as `Retry-After`."""
        return self._message(reason.status, reason.text, about, headers)

    def _message(
        self,
        status: int,
        text: tuple[str, str, str],
        about: About | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        # Without a login it is always the same page: a forged state costs no rendering.
        html = None if about else self._kept.get(text)
        if html is None:
            title, happened, next_ = text
            then, _, otherwise = next_.partition(". ")
            names = _names(about)
            html = self._render(
                "message.html",
                about,
                title=title,
                happened=Markup(happened).format(**names),  # noqa: S704 - our own sentences
                then=Markup(then).format(**names) + ("." if otherwise else ""),  # noqa: S704
                otherwise=Markup(otherwise).format(**names),  # noqa: S704
            )
            if not about:
                self._kept[text] = html
        return self._answer(html, status, headers=headers)

    def _page(
        self,
        template: str,
        status: int,
        about: About | None,
        *,
        referrer_policy: str = "no-referrer",
        **context: object,
    ) -> HTMLResponse:
        html = self._render(template, about, **context)
        return self._answer(html, status, referrer_policy=referrer_policy)

    def _render(self, template: str, about: About | None, **context: object) -> str:
        return self._templates.get_template(template).render(
            {**_names(about), **context},
            about=about,
            opened=about and datetime.fromtimestamp(about.opened_at, UTC),
            ago=about and _ago(self._clock() - about.opened_at),
            left=about and about.good_until and _left(about.good_until - self._clock()),
        )

    def _answer(
        self,
        html: str,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        referrer_policy: str = "no-referrer",
    ) -> HTMLResponse:
        policy = {"Referrer-Policy": referrer_policy}
        return HTMLResponse(html, status, {**(headers or {}), **_HEADERS, **policy})


def _names(about: About | None) -> dict[str, Markup]:
    name, provider = (about.name, about.provider) if about else (None, None)
    return {
        "instance": _ON % (_ISOLATED % name) if name else Markup("the program"),
        "provider": _ISOLATED % provider if provider else Markup("the sign-in provider"),
    }


def _left(seconds: float) -> str:
    minutes = int(seconds // _MINUTE)
    return f"good for {minutes} more" if minutes > 0 else "good for less than a minute more"


def _ago(seconds: float) -> str:
    minutes = int(seconds // _MINUTE)
    if minutes < 1:  # clocks of two machines may differ: never "in the future"
        return "less than a minute ago"
    if seconds > _HOUR:
        return "more than an hour ago"
    return "1 minute ago" if minutes == 1 else f"{minutes} minutes ago"
