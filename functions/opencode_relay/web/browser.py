"""What the person's browser meets: the callback, the confirm page's form, other pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from opencode_relay.errors import Refused
from opencode_relay.login import OPEN, Login, Status
from opencode_relay.outcomes import ConfirmForm
from opencode_relay.relay import Relay

from .pages import About, Pages
from .problems import RETRY_SOON
from .requests import FORM, client_address, media_type, parse_once, read_body
from .sentences import Refusal

MAX_CALLBACK = 8192  # bytes of the IdP's parameters
MAX_FORM = 32768  # bytes: the sealed response travels in the confirm page's form

_CALLBACK = {
    "callback-malformed": Refusal.CALLBACK_MALFORMED,
    "token-invalid": Refusal.STATE_UNKNOWN,
    "login-expired": Refusal.LOGIN_EXPIRED,
    "login-over": Refusal.LOGIN_OVER,
    "issuer-mismatch": Refusal.ISSUER_MISMATCH,
    "address-too-long": Refusal.ADDRESS_TOO_LONG,
}
_CONFIRM = {
    "not-same-origin": Refusal.NOT_SAME_ORIGIN,
    "form-too-large": Refusal.FORM_TOO_LARGE,
    "form-malformed": Refusal.FORM_MALFORMED,
    "decision-unknown": Refusal.FORM_MALFORMED,
    "token-invalid": Refusal.FORM_TOKEN_INVALID,
    "login-expired": Refusal.LOGIN_EXPIRED,
    "login-over": Refusal.LOGIN_OVER,
    "rate-limited": Refusal.TOO_MANY_CODES,
}
_OVER = {Status.HELD: Refusal.LOGIN_HELD, Status.DECLINED: Refusal.LOGIN_DENIED}
_ANYWHERE = {
    "not-found": Refusal.NOT_FOUND,
    "method-not-allowed": Refusal.METHOD_NOT_ALLOWED,
    "prefetch": Refusal.PREFETCH,
    "unavailable": Refusal.UNAVAILABLE,
}


class Browser:
    """The endpoints under `/auth`, and the page at the relay's bare address."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.pages = Pages(clock=relay.now)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.landing, methods=["GET"]),
            Route("/auth/callback", self.callback, methods=["GET", "POST"]),
            Route("/auth/confirm", self.confirm, methods=["POST"]),
            Route("/auth/done", self.done, methods=["GET"]),
            Route("/auth/declined", self.declined, methods=["GET"]),
        ]

    async def callback(self, request: Request) -> Response:
        try:
            params = await _callback_params(request)
            received = await self.relay.receive(params.pop("state"), params)
        except Refused as refused:
            return self.refusal(_CALLBACK[refused.code], refused)
        about = _about(received.login)
        if received.page == "onward":
            return self.pages.onward(about, address=received.address)
        if received.page == "completion":
            return self.pages.completion(about, completion_code=received.completion_code)
        if received.page == "idp_error":
            return self.pages.idp_error(about, error=received.error)
        return self.pages.confirm(about, response=received.sealed, token=received.token)

    async def confirm(self, request: Request) -> Response:
        try:
            _same_origin(request, self.relay.issuer)
            form = await _confirm_form(request)
            decided = await self.relay.confirm(form, client_address(request))
        except Refused as refused:
            return self.refusal(_CONFIRM[refused.code], refused)
        if isinstance(decided, Login):
            return self.pages.confirm(
                _about(decided), response=form.sealed, token=form.token, wrong_code=True
            )
        path = "/auth/done" if decided is Status.RELEASED else "/auth/declined"
        return RedirectResponse(path, 303)

    async def landing(self, _: Request) -> Response:
        return self.pages.landing()

    async def done(self, _: Request) -> Response:
        return self.pages.done()

    async def declined(self, _: Request) -> Response:
        return self.pages.declined()

    def refusal(self, reason: Refusal, refused: Refused) -> Response:
        headers = {}
        if reason is Refusal.LOGIN_OVER and refused.login:
            reason = _OVER.get(refused.login.status, reason)
        if reason in {Refusal.UNAVAILABLE, Refusal.PREFETCH}:
            headers["Retry-After"] = str(RETRY_SOON)
        if refused.retry_after is not None:
            headers["Retry-After"] = str(refused.retry_after)
        about = _about(refused.login) if refused.login else None
        return self.pages.refusal(reason, about=about, headers=headers)

    def anywhere(self, refused: Refused, headers: dict[str, str]) -> Response:
        """Answer what any path may meet: `not-found`, `method-not-allowed`, `unavailable`."""
        response = self.refusal(_ANYWHERE[refused.code], refused)
        response.headers.update(headers)
        return response


def _about(login: Login) -> About:
    return About(
        registered_name=login.registered_name,
        calls_itself=login.name,
        provider=login.provider,
        opened_at=login.opened_at,
        opened_from=login.opened_from or "an address that is no longer kept",
        good_until=login.expires_at if login.status in OPEN else None,
    )


async def _callback_params(request: Request) -> dict[str, str]:
    """Read the IdP's parameters. Raises Refused `callback-malformed`, before any login is read."""
    malformed = Refused("callback-malformed")
    raw: bytes | None = request.scope["query_string"]
    if request.method == "POST":
        if raw or media_type(request) != FORM:
            raise malformed
        raw = await read_body(request, MAX_CALLBACK)
    params = None if raw is None or len(raw) > MAX_CALLBACK else parse_once(raw)
    if params is None:
        raise malformed
    for name in ("state", "code", "error"):
        if params.get(name) == "":
            del params[name]
    if "state" not in params or ("code" in params) == ("error" in params):
        raise malformed
    return params


def _same_origin(request: Request, issuer: str) -> None:
    """Refuse a form that another site sent, or of which nothing says who sent it.

    Both headers absent is a refusal too: a check that is skipped when it cannot be made is none.
    """
    sites = request.headers.getlist("sec-fetch-site")
    origins = request.headers.getlist("origin")
    good = set(sites) <= {"same-origin"} and set(origins) <= {issuer}
    if not good or not (sites or origins):
        raise Refused("not-same-origin")


async def _confirm_form(request: Request) -> ConfirmForm:
    raw = await read_body(request, MAX_FORM)
    if raw is None:
        raise Refused("form-too-large")
    form = parse_once(raw) if media_type(request) == FORM else None
    if form is None:
        raise Refused("form-malformed")
    return ConfirmForm(
        token=form.get("token", ""),
        sealed=form.get("response", ""),
        decision=form.get("decision", ""),
        pairing_code=form.get("pairing_code", ""),
    )
