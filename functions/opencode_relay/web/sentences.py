"""What the pages say: a title, what happened, what to do next.

`{instance}` becomes "the program on NAME", for nobody need know a program by its machine's name,
and `{provider}` a name; where no login is at hand words stand for both. Never more than the relay
knows, and nothing that came from outside. Of what to do next the first sentence is bold; others are
for when that does not do.
"""

from __future__ import annotations

from enum import Enum

_GO_BACK = "go back to {instance} and start the sign-in again."
_START_AGAIN = _GO_BACK.capitalize()
_START_THERE = "To sign in, start at the program that you want to use."
_RELOAD = "Go back to the page, reload it and try again."


class Refusal(Enum):
    """Why a request ends on an error page: HTTP status, title, what happened, what to do next."""

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
        "If somebody sent you the address, close this page; if not, " + _GO_BACK,
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
    LOGIN_HELD = (
        409,
        "Another page of this sign-in shows the code",
        "This sign-in is not over, but its answer came here before, and not with this page.",
        "Look for it in your other tabs, and type its code into {instance}. If it is gone, "
        + _GO_BACK,
    )
    LOGIN_DENIED = (
        409,
        "This sign-in was denied",
        "Deny was pressed before. Nothing was passed on, and Allow comes too late.",
        "If you want to sign in after all, start again at {instance}.",
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
        "If another website sent you, close this page; if not, try without extensions or proxies.",
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
    NOT_FOUND = (
        404,
        "There is no page here",
        "This is an opencode relay: it carries sign-ins to servers that cannot receive them.",
        _START_THERE,
    )
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


DONE = (
    "Sign-in allowed",
    "You have allowed it, and {instance} collects it now.",
    "You can close this page. If {instance} still waits after a minute, look whether it runs, then "
    + _GO_BACK,
)
DECLINED = (
    "Sign-in denied",
    "Nothing was passed on: {instance} cannot use your account.",
    "You can close this page.",
)

NOT_CARRIED = (
    "Nothing was carried on",
    "This helper carries answers of sign-ins to <bdi>{relay}</bdi> only, and this is none.",
    "If another program on this machine waits for it, close the helper and sign in there again.",
)

_TRY_LATER = "Wait a few minutes, then start again at {instance}."
_TELL = "Tell whoever runs {instance}: its log names the reason."

# RFC 6749 section 4.1.2.1, RFC 8707 section 2 and OpenID Connect Core section 3.1.2.6.
IDP_ERRORS = {
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
    "invalid_target": ("It signs nobody in to the server asked for.", _TELL),
    "invalid_request": ("It did not accept the request.", _TELL),
    "invalid_request_uri": ("It could not fetch the request.", _TELL),
    "invalid_request_object": ("It did not accept the signed request.", _TELL),
    "request_not_supported": ("It takes no signed requests.", _TELL),
    "request_uri_not_supported": ("It fetches no requests.", _TELL),
    "registration_not_supported": ("It takes no unregistered applications.", _TELL),
}
UNKNOWN_IDP_ERROR = ("This relay does not know the reason it gave.", _TELL)
