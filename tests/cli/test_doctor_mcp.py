"""`opencode-relay doctor --mcp` and servers that answer oddly, or mean harm to who looks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import httpx
import pytest
from opencode_relay.cli.doctor import checks
from opencode_relay.cli.doctor.authorization import judge
from opencode_relay.cli.doctor.checks import Finding, NotTried, Wrong, carry_out
from opencode_relay.cli.doctor.mcp import LOCALHOST, McpExamination
from opencode_relay.cli.doctor.web import MOST, asking

from tests.support.served import run_here

from .homes import Home
from .hostile import Hostile, answer, says
from .test_doctor_hostile import DEEP, HARM, MARKUP, harmless

RESOURCE = "/.well-known/oauth-protected-resource/mcp"
SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
WANTED, PAGE = "wants a sign-in", "its login page with localhost"
DESCRIBED, PUBLISHED = "protected resource metadata", "authorization server metadata"
REGISTERED = "registration with localhost"


def server_of(hostile: Hostile, **more: object) -> Mapping[str, object]:
    return {
        "issuer": hostile.url,
        "authorization_endpoint": f"{hostile.url}/authorize",
        "token_endpoint": f"{hostile.url}/token",
        "registration_endpoint": f"{hostile.url}/register",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        **more,
    }


def resource_of(hostile: Hostile, **more: object) -> Mapping[str, object]:
    return {"resource": f"{hostile.url}/mcp", "authorization_servers": [hostile.url], **more}


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    """A server with which all is well."""
    with Hostile() as server:
        server.answers |= {
            "/mcp": says({}, 401),
            RESOURCE: says(resource_of(server)),
            SERVER: says(server_of(server)),
            "/register": says({"client_id": "c"}, 201),
            "/authorize": answer("<title>Sign in</title>", content_type="text/html"),
        }
        yield server


def look(hostile: Hostile) -> dict[str, Finding]:
    with asking() as web:
        examined = McpExamination(web, f"{hostile.url}/mcp", None)
        found = list(carry_out(examined.checks(), needed=examined.needed))
    return {one.check: one for one in found}


def test_with_this_server_all_is_well(hostile: Hostile) -> None:
    assert {one.ok for one in look(hostile).values()} == {True}
    assert hostile.asked[-4:] == [RESOURCE, SERVER, "/register", "/authorize"]


def test_where_people_sign_in_is_said(hostile: Hostile) -> None:
    assert "people sign in at" not in look(hostile)[PUBLISHED].seen
    with Hostile() as elsewhere:
        more = {
            "authorization_endpoint": f"{elsewhere.url}/authorize",
            "authorization_response_iss_parameter_supported": True,
        }
        hostile.answers[SERVER] = says(server_of(hostile, **more))
        assert f"people sign in at {elsewhere.url}" in look(hostile)[PUBLISHED].seen


@pytest.mark.parametrize(
    ("path", "said", "check"),
    [
        ("/mcp", answer("", 302, location="https://x/\x9b2J\xadx"), WANTED),
        (RESOURCE, {"resource": HARM}, DESCRIBED),
        (SERVER, {"authorization_endpoint": HARM}, PUBLISHED),
        ("/register", {"error": HARM, "error_description": MARKUP}, REGISTERED),
        ("/authorize", {"error": HARM, "error_description": MARKUP}, PAGE),
        ("/authorize", answer(f"<title>{HARM}{MARKUP}</title>", 400, "text/html"), PAGE),
    ],
)
def test_its_words_are_shown_as_text(
    hostile: Hostile, home: Home, path: str, said: object, check: str
) -> None:
    hostile.answers[path] = says(said) if isinstance(said, dict) else said  # type: ignore[assignment]
    url = f"{hostile.url}/mcp"
    plain, as_json = home.run("doctor", "--mcp", url), home.run("doctor", "--mcp", url, "--json")
    assert plain.returncode == as_json.returncode == 1
    assert harmless(plain.stdout + plain.stderr), ascii(plain.stdout)
    assert harmless(as_json.stdout)
    rows = json.loads(as_json.stdout)["checks"]
    assert len(plain.stdout.splitlines()) == len(rows) + 1
    assert [row["check"] for row in rows if row["ok"] is False] == [check]


@pytest.mark.parametrize("path", ["/mcp", RESOURCE, SERVER, "/register", "/authorize"])
def test_no_redirect_to_another_server_is_followed(hostile: Hostile, path: str) -> None:
    with Hostile() as elsewhere:
        hostile.answers[path] = answer("", 307, location=f"{elsewhere.url}/latest/meta-data")
        look(hostile)
        assert elsewhere.asked == []


def test_a_redirect_of_metadata_on_its_own_origin_is_followed(hostile: Hostile) -> None:
    hostile.answers[RESOURCE] = answer("", 301, location="/there")
    hostile.answers["/there"] = says(resource_of(hostile))
    assert look(hostile)[DESCRIBED].ok is True


def test_redirects_have_an_end(hostile: Hostile) -> None:
    hostile.answers[RESOURCE] = answer("", 301, location=RESOURCE)
    look(hostile)
    assert hostile.asked.count(RESOURCE) < 5


@pytest.mark.parametrize("status", [200, 401])
def test_a_stream_is_not_waited_for(hostile: Hostile, status: int) -> None:
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: text/event-stream\r\n\r\n".encode()
    hostile.answers["/mcp"] = hostile.endless(head, b": \n" * 20_000)
    assert look(hostile)[WANTED].ok is True


@pytest.mark.parametrize("path", [RESOURCE, SERVER, "/register", "/authorize"])
def test_an_endless_body_is_read_to_a_limit(hostile: Hostile, path: str) -> None:
    head = b"HTTP/1.1 201 OK\r\nContent-Type: application/json\r\n\r\n"
    hostile.answers[path] = hostile.endless(head, b" " * 65536)
    assert False in {one.ok for one in look(hostile).values()}
    assert hostile.sent < 20 * MOST


@pytest.mark.parametrize("path", [RESOURCE, SERVER, "/register", "/authorize"])
def test_an_answer_that_drips_is_given_up(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 0.5)
    hostile.answers[path] = hostile.dripping(b"HTTP/1.1 200 OK\r\n\r\n")
    assert "No whole answer came in time." in {one.seen for one in look(hostile).values()}


@pytest.mark.parametrize("body", ["", "[]", "7", "null", DEEP, '{"client_id": 7}', "{}"])
@pytest.mark.parametrize("path", [RESOURCE, SERVER, "/register"])
def test_a_body_that_is_nothing_is_a_row(hostile: Hostile, path: str, body: str) -> None:
    hostile.answers[path] = answer(body)
    found = look(hostile).values()
    assert all(one.ok is not False or one.seen.endswith(".") for one in found)
    assert False in {one.ok for one in found} or path == RESOURCE


@pytest.mark.parametrize(
    ("more", "check", "words"),
    [
        ({"resource": "https://other.example/mcp"}, DESCRIBED, "of another resource"),
        ({"resource": None}, DESCRIBED, "no address"),
        ({"authorization_servers": ["http://idp.example"]}, DESCRIBED, "not https"),
        ({"authorization_servers": ["https://u:p@idp.example"]}, DESCRIBED, "no address"),
        ({"authorization_endpoint": "http://idp.example/a"}, PUBLISHED, "not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, PUBLISHED, "no address"),
        ({"token_endpoint": None}, PUBLISHED, "token_endpoint is no address"),
        ({"registration_endpoint": [1]}, PUBLISHED, "registration_endpoint is no address"),
        ({"response_types_supported": ["token"]}, PUBLISHED, "lacks code"),
        ({"code_challenge_methods_supported": ["plain"]}, PUBLISHED, "lacks S256"),
    ],
)
def test_metadata_that_cannot_be_used(
    hostile: Hostile, more: dict[str, object], check: str, words: str
) -> None:
    hostile.answers[RESOURCE] = says(resource_of(hostile, **more))
    hostile.answers[SERVER] = says(server_of(hostile, **more))
    one = look(hostile)[check]
    assert one.ok is False
    assert words in one.seen


def test_a_challenge_names_metadata_and_scope(hostile: Hostile) -> None:
    del hostile.answers[RESOURCE]
    challenge = f'Bearer scope="a b", resource_metadata="{hostile.url}/named"'
    hostile.answers["/mcp"] = says({}, 401, www_authenticate=challenge)
    assert "there is none" in look(hostile)[DESCRIBED].seen
    hostile.answers["/named"] = says(resource_of(hostile))
    assert look(hostile)[PAGE].ok is True


def test_an_older_server_is_asked_itself(hostile: Hostile) -> None:
    del hostile.answers[RESOURCE]
    found = look(hostile)
    assert found[DESCRIBED].seen.startswith("none")
    assert found[PAGE].ok is True


def test_openid_connects_discovery_will_do(hostile: Hostile) -> None:
    hostile.answers[OPENID] = hostile.answers.pop(SERVER)
    assert look(hostile)[PAGE].ok is True


@pytest.mark.parametrize(
    "path",
    [f"{SERVER}/tenant", f"{OPENID}/tenant", f"/tenant{OPENID}"],
)
def test_an_issuer_with_a_path(hostile: Hostile, path: str) -> None:
    issuer = f"{hostile.url}/tenant"
    hostile.answers[RESOURCE] = says(resource_of(hostile, authorization_servers=[issuer]))
    del hostile.answers[SERVER]
    hostile.answers[path] = says(server_of(hostile, issuer=issuer))
    assert look(hostile)[PAGE].ok is True


@pytest.mark.parametrize("issuer", ["https://other.example", "{}/tenant", "{}//", None])
def test_metadata_of_another_issuer_is_refused(hostile: Hostile, issuer: str | None) -> None:
    """RFC 8414 section 3.3; the plugin refuses it, too."""
    named = issuer and issuer.format(hostile.url)
    hostile.answers[SERVER] = says(server_of(hostile, issuer=named))
    found = look(hostile)
    assert found[PUBLISHED].ok is False
    assert f"asked as {hostile.url} and calls itself {named}: " in found[PUBLISHED].seen
    assert "/register" not in hostile.asked


@pytest.mark.parametrize("slashes", [("/", ""), ("", "/")])
def test_a_slash_at_the_end_is_not_another_issuer(
    hostile: Hostile, slashes: tuple[str, str]
) -> None:
    asked, named = (f"{hostile.url}{slash}" for slash in slashes)
    hostile.answers[RESOURCE] = says(resource_of(hostile, authorization_servers=[asked]))
    hostile.answers[SERVER] = says(server_of(hostile, issuer=named))
    assert look(hostile)[PAGE].ok is True


def test_a_server_without_oauth(hostile: Hostile) -> None:
    del hostile.answers[RESOURCE], hostile.answers[SERVER]
    assert "send a key" in look(hostile)[PUBLISHED].seen


def test_what_is_no_mcp_server(hostile: Hostile) -> None:
    del hostile.answers["/mcp"]
    one = look(hostile)[WANTED]
    assert (one.ok, "404" in one.seen) == (False, True)


def test_a_registration_with_another_redirect_uri(hostile: Hostile) -> None:
    made = {"client_id": "c", "redirect_uris": ["https://elsewhere.example"]}
    hostile.answers["/register"] = says(made, 201)
    assert "another redirect URI" in look(hostile)[REGISTERED].seen


def test_a_client_is_deleted_whatever_its_login_page_says(hostile: Hostile) -> None:
    made = {
        "client_id": "c",
        "registration_access_token": "the-token",
        "registration_client_uri": f"{hostile.url}/clients/c",
    }
    hostile.answers["/register"] = says(made, 201)
    hostile.answers["/authorize"] = answer("\x00", 500)
    hostile.answers["/clients/c"] = answer("", 204)
    assert "is deleted again" in look(hostile)[PAGE].seen
    assert hostile.asked[-1] == "/clients/c"
    hostile.answers["/clients/c"] = answer("", 405)
    assert "to delete it fails (405)" in look(hostile)[PAGE].seen


@pytest.mark.parametrize(
    "url",
    ["mcp.example.com", "http://mcp.example.com/", "https://u:p@h/mcp", "https://h/#a", ""],
)
def test_what_can_be_no_server(url: str) -> None:
    done = run_here("doctor", "--mcp", url)
    assert done.returncode == 1
    assert "--mcp must be" in done.stderr


SIGN_IN = "<title>Sign in</title><script>'redirect_uri is invalid'</script>"


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (200, SIGN_IN, {}, "shows it (200: Sign in)"),
        (200, "<input name=redirect_uri><p>Wrong password? No.", {}, "shows it"),
        (302, "", {"Location": "/login?next=x"}, "sends the person on to idp.example"),
        (303, "", {"Location": "https://sso.example/"}, "sends the person on to sso.example"),
        (302, "", {"Location": f"{LOCALHOST}?code=c&state=s"}, "lets in whoever comes"),
        (401, "", {"WWW-Authenticate": "Negotiate"}, "the browser itself"),
    ],
)
def test_answers_that_begin_a_sign_in(
    status: int, body: str, headers: dict[str, str], words: str
) -> None:
    assert words in judge(_answered(status, body, headers), LOCALHOST)


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (400, '{"error": "invalid_request"}', {}, "(400: invalid_request)"),
        (200, '{"error": "x", "error_description": "y"}', {}, "(200: x: y)"),
        (404, "<h1 class=a>Gone</h1>", {}, "(404: Gone)"),
        (200, "<title>Oops</title>The redirect_uri\nis not registered", {}, "(200: Oops)"),
        (200, "Redirect <b>URI</b> mismatch", {}, "redirect URI that it does not take"),
        (200, "Invalid redirect URL", {}, "redirect URI that it does not take"),
        (200, "This callback URL isn&rsquo;t allowed", {}, "redirect URI that it does not take"),
        (302, "", {"Location": f"{LOCALHOST}?error=invalid_scope"}, "(invalid_scope)"),
        (302, "", {"Location": "/error?error=bad&error_description=Why"}, "(bad: Why)"),
        (302, "", {"Location": "/#error=bad"}, "(bad)"),
        (302, "", {"Location": "myapp:go"}, "no page"),
        (500, "", {}, "(500)"),
    ],
)
def test_answers_that_refuse(status: int, body: str, headers: dict[str, str], words: str) -> None:
    with pytest.raises(Wrong) as wrong:
        judge(_answered(status, body, headers), LOCALHOST)
    assert words in str(wrong.value)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_answers_that_a_browser_may_not_get(status: int) -> None:
    with pytest.raises(NotTried, match="begin a sign-in"):
        judge(_answered(status, "<title>Just a moment</title>", {}), LOCALHOST)


def test_a_page_in_which_a_pattern_would_get_lost() -> None:
    page = "<script" * 1000 + "<title" * 1000 + "redirect uri " * 1000
    assert judge(_answered(200, page, {}), LOCALHOST)


def _answered(status: int, body: str, headers: dict[str, str]) -> httpx.Response:
    request = httpx.Request("GET", "https://idp.example/authorize?redirect_uri=x")
    return httpx.Response(status, headers=headers, text=body, request=request)
