"""What any path may meet: wrong paths and methods, HEAD, prefetches, an unusable store, headers."""

import httpx
import pytest
from opencode_relay import __version__
from opencode_relay.login import Status
from opencode_relay.web.pages import Pages
from starlette.types import Message

from tests.support.wire import (
    MakeWire,
    Opened,
    Wire,
    bearer,
    check_page,
    check_problem,
    completion_code_of,
)

PATHS = {
    "/": {"GET"},
    "/.well-known/opencode-relay": {"GET"},
    "/.well-known/jwks.json": {"GET"},
    "/oauth/client": {"GET"},
    "/healthz": {"GET"},
    "/v1/logins": {"POST"},
    "/v1/logins/x": {"DELETE"},
    "/v1/logins/x/response": {"GET"},
    "/v1/logins/x/completion": {"POST"},
    "/auth/callback": {"GET", "POST"},
    "/auth/confirm": {"POST"},
    "/auth/done": {"GET"},
    "/auth/declined": {"GET"},
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
NO_PAGE = (404, "There is no page here")
NOT_LIKE_THAT = "This address cannot be used like that"
TOO_EARLY = (503, "This page was fetched too early")
CANNOT_ANSWER = (503, "The relay cannot answer just now")


def check(answer: httpx.Response, path: str, status: int, slug: str, title: str) -> None:
    if path.startswith("/auth/"):
        check_page(answer, status, title)
    else:
        check_problem(answer, status, slug)


# 404


UNKNOWN = [
    "/oauth",
    "/v1",
    "/v1/logins/x/y",
    "/auth",
    "/auth/nothing",
    "/authx",
    "//v1/logins",
    "/é",
]


@pytest.mark.parametrize("path", UNKNOWN)
async def test_an_unknown_path_is_404(wire: Wire, path: str) -> None:
    check(await wire.http.get(path), path, 404, "not-found", NO_PAGE[1])


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_trailing_slash_is_an_unknown_path_never_a_redirect(
    wire: Wire, path: str, method: str
) -> None:
    answer = await wire.http.request(method, f"{path}/", headers={"Host": "evil.example"})
    check(answer, path, 404, "not-found", NO_PAGE[1])


HTML = {"Accept": "text/html,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/v1", "/auth/nothing", "/authx", "/problems/not-found"])
async def test_a_browser_gets_a_page_at_any_path_but_the_apis(wire: Wire, path: str) -> None:
    check_page(await wire.http.get(path, headers=HTML), *NO_PAGE)


@pytest.mark.parametrize("path", ["/v1/x", "/v1/logins", "/healthz/", "/oauth/x", "/.well-known/x"])
async def test_the_apis_errors_are_problems_whatever_is_accepted(wire: Wire, path: str) -> None:
    answer = await wire.http.get(path, headers=HTML)
    assert answer.headers["content-type"] == ("application/problem+json")


# The relay's bare address


@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "application/json", "*/*"])
async def test_the_bare_address_says_what_it_is_and_nothing_of_this_relay(
    wire: Wire, accept: str
) -> None:
    """Consent pages of authorization servers link here (`client_uri`), and strangers come."""
    uri = (await wire.http.get("/oauth/client")).json()["client_uri"]
    answer = await wire.http.get(f"{uri}/?state=s&code=c", headers={"Accept": accept})
    check_page(answer, 200, "Sign-ins begin in opencode")
    assert answer.content == Pages().landing().body  # the same at every relay, whatever is asked
    assert __version__ not in answer.text


# 405


@pytest.mark.parametrize("path", PATHS)
async def test_a_method_that_a_path_does_not_take_is_405(wire: Wire, path: str) -> None:
    for method in set(METHODS) - PATHS[path]:
        answer = await wire.http.request(method, path)
        assert answer.status_code == 405, method
        assert set(answer.headers["allow"].split(", ")) == PATHS[path]
        if method != "HEAD":
            check(answer, path, 405, "method-not-allowed", NOT_LIKE_THAT)


async def test_head_never_touches_a_login(wire: Wire) -> None:
    login = await wire.open()
    query = {"state": login.state, "error": "access_denied"}
    answer = await wire.http.head("/auth/callback", params=query)
    assert answer.status_code == 405
    kept = await wire.kept(login)
    assert (kept.status, kept.arrived_at) == (Status.PENDING, None)


# Prefetch


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Sec-Purpose", "Prefetch"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_prefetch_is_503(wire: Wire, path: str, name: str, value: str) -> None:
    method = min(PATHS[path])
    answer = await wire.http.request(method, path, headers={name: value})
    check(answer, path, 503, "unavailable", TOO_EARLY[1])
    assert int(answer.headers["retry-after"]) > 0


async def test_a_prefetch_never_touches_a_login(wire: Wire) -> None:
    login = await wire.open()
    query = {"state": login.state, "error": "access_denied"}
    early = {"Sec-Purpose": "prefetch"}
    check_page(await wire.http.get("/auth/callback", params=query, headers=early), *TOO_EARLY)
    await wire.finish(login, **early)
    assert (await wire.kept(login)).status is Status.PENDING
    check_page(await wire.callback(login, error="access_denied"), 200, "Not signed in")


# 503


async def test_a_store_that_cannot_be_used_is_503_everywhere(wire: Wire) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    completion: Opened = await wire.open(confirmation="completion_code")
    wire.store.close()
    answers = [
        await wire.post(wire.body()),
        await wire.collect(login),
        await wire.complete(completion, "0000-0000"),
        await wire.finish(login),
    ]
    for answer in answers:
        check_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    for answer in (await wire.callback(login), await wire.press(page, "deny")):
        check_page(answer, *CANNOT_ANSWER)
        assert int(answer.headers["retry-after"]) > 0


async def test_the_stores_own_words_are_not_told(wire: Wire) -> None:
    wire.store.close()
    assert "closed" not in (await wire.post(wire.body())).text


async def test_what_was_made_with_replaced_keys_is_worth_nothing(wire: Wire) -> None:
    login, held = await wire.open(), await wire.open(confirmation="completion_code")
    page, code = await wire.callback(login), completion_code_of(await wire.callback(held))
    wire.clock.advance(1)
    wire.keyfile.replace_all()
    wire.keys.refresh()
    assert (await wire.callback(login)).status_code == 400
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 403
    check_problem(await wire.complete(held, code), 503, "unavailable")


@pytest.mark.parametrize("path", ["/auth/callback?state={s}&code=c", "/.well-known/jwks.json"])
async def test_an_unforeseen_fault_is_503_without_its_words(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    login = await wire.open()

    def broken(*_: object) -> None:
        raise RuntimeError("the-secret")

    monkeypatch.setattr(wire.store, "get", broken)
    monkeypatch.setattr(type(wire.keys.ring), "jwks", broken)
    answer = await wire.http.get(path.format(s=login.state))
    check(answer, path, 503, "unavailable", CANNOT_ANSWER[1])
    assert "the-secret" not in answer.text


# Headers

HSTS = "strict-transport-security"


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/auth/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_every_answer_has_the_headers_of_all(wire: Wire, path: str, method: str) -> None:
    answer = await wire.http.request(method, path)
    cacheable = path.startswith(("/.well-known/", "/oauth/")) and answer.status_code == 200
    assert answer.headers["cache-control"] == ("public, max-age=300" if cacheable else "no-store")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers[HSTS] == "max-age=600"
    assert "set-cookie" not in answer.headers


async def test_years_of_https_are_a_setting(make_wire: MakeWire) -> None:
    wire = make_wire(hsts_max_age=63072000)
    for path in ("/auth/done", "/healthz", "/nothing"):
        assert (await wire.http.get(path)).headers[HSTS] == "max-age=63072000"


async def test_on_loopback_without_https_there_is_no_hsts(make_wire: MakeWire) -> None:
    wire = make_wire(public_url="http://127.0.0.1:8787")
    for path in PATHS:
        assert HSTS not in (await wire.http.get(path)).headers


async def pages(wire: Wire) -> dict[str, httpx.Response]:
    login, held = await wire.open(), await wire.open(confirmation="completion_code")
    confirm = await wire.callback(login)
    return {
        "confirm": confirm,
        "wrong code": await wire.press(confirm, "allow", "0000-0000"),
        "completion": await wire.callback(held),
        "over": await wire.callback(held, code="other"),
        "landing": await wire.http.get("/"),
        "done": await wire.http.get("/auth/done"),
        "not found": await wire.http.get("/auth/nothing"),
        "prefetch": await wire.http.get("/auth/done", headers={"Sec-Purpose": "prefetch"}),
    }


async def test_pages_are_locked_down(wire: Wire) -> None:
    for name, page in (await pages(wire)).items():
        policy = page.headers["content-security-policy"]
        for directive in (
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ):
            assert directive in policy.split("; "), name
        assert page.headers["cross-origin-opener-policy"] == "same-origin", name


async def test_only_pages_with_a_form_send_a_referrer(wire: Wire) -> None:
    for name, page in (await pages(wire)).items():
        has_form = "<form" in page.text
        assert has_form == (name in {"confirm", "wrong code"})
        wanted = "same-origin" if has_form else "no-referrer"
        assert page.headers["referrer-policy"] == wanted, name


async def test_a_decision_sends_the_browser_to_a_path_of_the_relay(wire: Wire) -> None:
    login = await wire.open()
    page = await wire.callback(login)
    answer = await wire.press(page, "deny", Host="evil.example", Origin=wire.relay.issuer)
    assert answer.headers["location"] == "/auth/declined"
    assert answer.headers["cache-control"] == "no-store"


async def test_an_empty_login_id_is_no_path(wire: Wire) -> None:
    check_problem(await wire.http.delete("/v1/logins/", headers=bearer("v" * 43)), 404, "not-found")


async def test_a_websocket_is_closed(wire: Wire) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/auth/callback", "headers": [], "query_string": b""}
    await wire.app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
