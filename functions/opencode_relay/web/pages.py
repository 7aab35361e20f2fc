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
from enum import Enum
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from .headers import EVERYWHERE, HSTS

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

_START_AGAIN = "Go back to {instance} and start the sign-in again."
_START_THERE = "To sign in, start at the instance that you want to use."
_RELOAD = "Go back to the page, reload it and try again."


class Refusal(Enum):
    """Why a request ends on an error page: HTTP status, title, what happened, what to do next.

    `{instance}` becomes the instance's name, or "the instance" where no login is at hand.
    """

    CALLBACK_MALFORMED = (
        400,
        "This answer cannot be used",
        "The sign-in provider's answer arrived incomplete or damaged. Nothing was passed on.",
        _START_AGAIN,
    )
    STATE_UNKNOWN = (
        400,
        "This sign-in is not known here",
        "This address belongs to no sign-in that was opened at this relay.",
        "If somebody sent you the address, close this page. If not: " + _START_AGAIN,
    )
    ISSUER_MISMATCH = (
        400,
        "This answer came from the wrong place",
        "It is not from the sign-in provider that {instance} expects. Nothing was passed on.",
        "Close this page. If you began the sign-in yourself, start it again at {instance}.",
    )
    ADDRESS_TOO_LONG = (
        400,
        "This answer is too long",
        "The sign-in provider's answer is too long for the address that leads to {instance}.",
        "Tell whoever runs {instance}: delivery by polling has room for it.",
    )
    LOGIN_EXPIRED = (
        410,
        "This sign-in has expired",
        "It was not finished in time. Nothing more is passed on.",
        _START_AGAIN,
    )
    LOGIN_OVER = (
        409,
        "This sign-in is already over",
        "It was answered before, or cancelled. If you have pressed Allow twice, it has worked.",
        "Look at {instance}. If it is not signed in, start again there.",
    )
    FORM_MALFORMED = (
        400,
        "This form cannot be used",
        "What your browser sent is not the form of this relay's page. Nothing was changed.",
        _RELOAD,
    )
    FORM_TOO_LARGE = (
        413,
        "This form is too large",
        "Your browser sent more than this relay's form can hold. Nothing was changed.",
        _RELOAD,
    )
    NOT_SAME_ORIGIN = (
        403,
        "This form did not come from this relay",
        "Your browser does not say that this relay's own page sent it. Nothing was changed.",
        "If another website sent you, close this page. If not, try without extensions or proxies.",
    )
    FORM_TOKEN_INVALID = (
        403,
        "This form is not genuine",
        "It was changed on its way, or this relay did not make it. Nothing was changed here.",
        _START_AGAIN,
    )
    TOO_MANY_CODES = (
        429,
        "Too many wrong codes",
        "They came from your network address. The sign-in is unchanged.",
        "Wait a minute, go back, and type the code exactly as {instance} shows it.",
    )
    NOT_FOUND = (404, "There is no page here", "This address leads nowhere.", _START_THERE)
    METHOD_NOT_ALLOWED = (
        405,
        "This address cannot be used like that",
        "Your browser asked for it in a way that it does not offer. Nothing was changed.",
        _START_THERE,
    )
    UNAVAILABLE = (
        503,
        "The relay cannot answer just now",
        "Something that it needs is out of reach.",
        "Wait a moment, then reload this page.",
    )
    PREFETCH = (
        503,
        "This page was fetched too early",
        "Your browser asked for it before you had opened it. Nothing was changed.",
        "Reload this page.",
    )

    def __init__(self, status: int, title: str, happened: str, then: str) -> None:
        self.status = status
        self.text = (title, happened, then)


_DONE = (
    "Sign-in allowed",
    "It was passed on to {instance}.",
    "You can close this page and go back to {instance}, which now finishes the sign-in.",
)
_DECLINED = (
    "Sign-in denied",
    "Nothing was passed on: {instance} cannot use your account.",
    "You can close this page.",
)

_NOT_CARRIED = (
    "Nothing was carried on",
    "This helper carries answers of sign-ins to <bdi>{relay}</bdi> only, and this is none.",
    "If another program on this machine waits for it, close the helper and sign in there again.",
)

_TRY_LATER = "Wait a few minutes, then start again at {instance}."
_TELL = "Tell whoever runs {instance}: its log names the reason."

# RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6.
_IDP_ERRORS = {
    "access_denied": (
        "The sign-in was refused there, by you or by one of its rules.",
        "You can close this page. If you want to sign in after all, start again at {instance}.",
    ),
    "login_required": ("You have to sign in there first.", _START_AGAIN),
    "interaction_required": ("It has a question for you first.", _START_AGAIN),
    "account_selection_required": ("You have to choose an account there.", _START_AGAIN),
    "consent_required": ("You have to give your consent there.", _START_AGAIN),
    "server_error": ("It met an error of its own.", _TRY_LATER),
    "temporarily_unavailable": ("It is too busy, or closed for a while.", _TRY_LATER),
    "unauthorized_client": ("It does not let {instance} sign people in like this.", _TELL),
    "unsupported_response_type": ("It does not give the kind of answer asked for.", _TELL),
    "invalid_scope": ("It does not grant the permissions asked for.", _TELL),
    "invalid_request": ("It did not accept the request.", _TELL),
    "invalid_request_uri": ("It could not fetch the request.", _TELL),
    "invalid_request_object": ("It did not accept the signed request.", _TELL),
    "request_not_supported": ("It takes no signed requests.", _TELL),
    "request_uri_not_supported": ("It fetches no requests.", _TELL),
    "registration_not_supported": ("It takes no unregistered applications.", _TELL),
}
_UNKNOWN_IDP_ERROR = ("This relay does not know the reason it gave.", _TELL)


@dataclass(frozen=True, slots=True)
class About:
    """What a page may say of a login. `opened_at` is in Unix seconds."""

    registered_name: str | None  # None: the caller is not enrolled
    calls_itself: str | None
    provider: str | None
    opened_at: float
    opened_from: str

    @property
    def name(self) -> str | None:
        return self.registered_name or self.calls_itself


class Pages:
    """Every page of one relay. An https `issuer` puts Strict-Transport-Security on all of them."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.time) -> None:
        self._headers = _HEADERS | (HSTS if issuer.startswith("https://") else {})
        self._clock = clock
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
            title="Type this code into the instance",
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
        title, happened, then = _NOT_CARRIED
        text = (title, Markup(happened).format(relay=relay), then)  # noqa: S704 - our own sentence
        return self._message(status, text)

    def idp_error(self, about: About, *, error: str) -> HTMLResponse:
        """Explain the provider's `error` in our own words; what it sent is never shown."""
        happened, then = _IDP_ERRORS.get(error, _UNKNOWN_IDP_ERROR)
        happened = "Signing in with {provider} did not work. " + happened
        return self._message(200, ("Not signed in", happened, then), about)

    def done(self) -> HTMLResponse:
        return self._message(200, _DONE)

    def declined(self) -> HTMLResponse:
        return self._message(200, _DECLINED)

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
            title, happened, then = text
            names = _names(about)
            html = self._render(
                "message.html",
                about,
                title=title,
                happened=Markup(happened).format(**names),  # noqa: S704 - our own sentences
                then=Markup(then).format(**names),  # noqa: S704
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
        return HTMLResponse(html, status, {**(headers or {}), **self._headers, **policy})


def _names(about: About | None) -> dict[str, Markup]:
    name, provider = (about.name, about.provider) if about else (None, None)
    return {
        "instance": _ISOLATED % name if name else Markup("the instance"),
        "provider": _ISOLATED % provider if provider else Markup("the sign-in provider"),
    }


def _ago(seconds: float) -> str:
    minutes = int(seconds // _MINUTE)
    if minutes < 1:  # clocks of two machines may differ: never "in the future"
        return "less than a minute ago"
    if seconds > _HOUR:
        return "more than an hour ago"
    return "1 minute ago" if minutes == 1 else f"{minutes} minutes ago"
