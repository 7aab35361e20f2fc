"""The pages as text: headers, escaping, words. `test_pages_browser` shows them in Chromium."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from opencode_relay.web.pages import About
from opencode_relay.web.sentences import Refusal

from .gallery import (
    ABOUT,
    ADDRESS,
    OPENED_AT,
    REPOSITORY,
    SHOWS,
    WITH_FORM,
    Html,
    about,
    html,
    pages_at,
)

IDP_ERRORS = [
    # RFC 6749 section 4.1.2.1
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    # OpenID Connect Core section 3.1.2.6
    "interaction_required",
    "login_required",
    "account_selection_required",
    "consent_required",
    "invalid_request_uri",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
]

STATUSES = {
    "CALLBACK_MALFORMED": 400,
    "STATE_UNKNOWN": 400,
    "ISSUER_MISMATCH": 400,
    "ADDRESS_TOO_LONG": 400,
    "LOGIN_EXPIRED": 410,
    "LOGIN_OVER": 409,
    "LOGIN_HELD": 409,
    "LOGIN_DENIED": 409,
    "FORM_MALFORMED": 400,
    "FORM_TOO_LARGE": 413,
    "NOT_SAME_ORIGIN": 403,
    "FORM_TOKEN_INVALID": 403,
    "TOO_MANY_CODES": 429,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "UNAVAILABLE": 503,
    "PREFETCH": 503,
}

every_page = pytest.mark.parametrize("name", SHOWS)


class TestHeaders:
    @every_page
    def test_are_exactly_these(self, name: str) -> None:
        response = SHOWS[name](pages_at(), ABOUT)
        style = b64encode(sha256(Html(response).of("style").encode()).digest()).decode()
        expected = {
            "content-type": "text/html; charset=utf-8",
            "content-length": str(len(response.body)),
            "content-security-policy": (
                f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; "
                "frame-ancestors 'none'; base-uri 'none'"
            ),
            "referrer-policy": "same-origin" if name in WITH_FORM else "no-referrer",
            "x-content-type-options": "nosniff",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-store",
        }
        assert dict(response.headers) == expected

    def test_refusal_adds_the_callers(self) -> None:
        page = pages_at().refusal(Refusal.TOO_MANY_CODES, headers={"Retry-After": "17"})
        assert page.headers["retry-after"] == "17"

    def test_refusal_keeps_its_own(self) -> None:
        page = pages_at().refusal(
            Refusal.NOT_FOUND, headers={"Content-Security-Policy": "default-src *"}
        )
        (policy,) = page.headers.getlist("content-security-policy")
        assert policy.startswith("default-src 'none'")


class TestEveryPage:
    @every_page
    def test_has_language_viewport_and_title(self, name: str) -> None:
        page = html(name)
        assert page.attributes("html") == [{"lang": "en"}]
        assert {
            "name": "viewport",
            "content": "width=device-width, initial-scale=1",
        } in page.attributes("meta")
        assert page.of("title").removeprefix("Wrong code: ") == (
            f"{page.of('h1')} \N{EN DASH} opencode relay"
        )

    @every_page
    def test_has_no_script_and_loads_nothing(self, name: str) -> None:
        page = html(name)
        assert not {tag for tag, _ in page.tags} & {
            *("script", "link", "img", "iframe", "object", "embed", "base", "video", "audio")
        }
        attributes = {key for _, attrs in page.tags for key in attrs}
        assert not {key for key in attributes if key.startswith("on")}
        assert not attributes & {"src", "srcset", "style", "background", "ping"}
        assert "url(" not in page.of("style")
        assert "@import" not in page.of("style")

    @every_page
    def test_leaves_nothing_unfilled(self, name: str) -> None:
        page = html(name)
        assert "{" not in page.text
        assert "None" not in page.text

    def test_titles_differ(self) -> None:
        titles = [html(name).of("title") for name in SHOWS if not name.endswith("-alone")]
        # Both provider errors, known and unknown, are one page with two sentences.
        assert len(set(titles)) == len(titles) - 1


class TestLanding:
    def test_links_to_the_project_where_that_is_known(self) -> None:
        docs = f"{REPOSITORY}/blob/HEAD/docs"
        assert [one["href"] for one in html("landing").attributes("a")] == [
            f"{docs}/sign-in.md",
            f"{docs}/security.md",
            f"{REPOSITORY}#readme",
        ]
        assert html("landing-alone").attributes("a") == []
        for page in ("sign-in.md", "security.md"):
            assert (Path(__file__).parents[2] / "docs" / page).exists()


class TestEscaping:
    NAMES = (
        "</bdi><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><b autofocus onfocus=alert(1)>',
        "{{ 7 * 7 }}{% raw %}{instance}",
        "&lt;b&gt; &amp;amp;",
        "\u202eevil\u2066",
        "' onclick='x",
        "שרת",
    )

    @every_page
    @pytest.mark.parametrize("hostile", NAMES)
    def test_names_stay_text_in_isolation(self, name: str, hostile: str) -> None:
        calm = html(name, About("a", "b", "c", OPENED_AT, "d"))
        page = html(name, About(hostile, f"{hostile}2", f"{hostile}3", OPENED_AT, f"{hostile}4"))
        assert page.tags == calm.tags
        swap = {"a": hostile, "b": f"{hostile}2", "c": f"{hostile}3", "d": f"{hostile}4"}
        assert page.isolated == [swap[text] for text in calm.isolated]
        assert page.text.count(hostile) == len(page.isolated)

    def test_form_values_come_back_as_they_are(self) -> None:
        page = Html(pages_at().confirm(ABOUT, response='a"b&amp;<c', token="'d\"><e"))
        assert page.field("response")["value"] == 'a"b&amp;<c'
        assert page.field("token")["value"] == "'d\"><e"


class TestConfirm:
    def test_posts_the_four_fields(self) -> None:
        page = html("confirm")
        (form,) = page.attributes("form")
        assert form["action"] == "/auth/confirm"
        assert form["method"] == "post"
        assert form.get("enctype") in {None, "application/x-www-form-urlencoded"}
        assert [field["name"] for field in page.attributes("input")] == [
            "response",
            "token",
            "pairing_code",
        ]
        assert [(b["name"], b["value"]) for b in page.attributes("button")] == [
            ("decision", "allow"),
            ("decision", "deny"),
        ]
        assert page.field("response") == {
            "type": "hidden",
            "name": "response",
            "value": "eyJ.sealed",
        }
        assert page.field("token") == {"type": "hidden", "name": "token", "value": "t.k"}

    @pytest.mark.parametrize("name", sorted(WITH_FORM))
    def test_never_fills_the_code_in(self, name: str) -> None:
        assert "value" not in html(name).field("pairing_code")
        # No other field that could hold one, and nothing of a code's form in the text.
        text = bytes(_body(name)).decode().replace('placeholder="XXXX-XXXX"', "")
        assert not re.search(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)

    def test_status_and_error(self) -> None:
        pages = pages_at()
        first = pages.confirm(ABOUT, response="r", token="t")
        again = pages.confirm(ABOUT, response="r", token="t", wrong_code=True)
        assert (first.status_code, again.status_code) == (200, 422)
        calm, wrong = Html(first), Html(again)
        assert "aria-invalid" not in calm.field("pairing_code")
        assert not [a for _, a in calm.tags if a.get("role") == "alert"]
        assert wrong.field("pairing_code")["aria-invalid"] == "true"
        for page in (calm, wrong):
            assert "autofocus" in page.field("pairing_code")
            assert page.field("pairing_code")["placeholder"] == "XXXX-XXXX"
        (alert,) = [a for _, a in wrong.tags if a.get("role") == "alert"]
        assert alert["id"] in (wrong.field("pairing_code")["aria-describedby"] or "").split()
        assert wrong.of("title").startswith("Wrong code: ")

    def test_says_who_when_and_from_where(self) -> None:
        page = html("confirm")
        for words in (
            "You have signed in with Example ID.",
            "the program on workshop-server asks to use that account",
            "Ana's box",
            "3 minutes ago, good for 6 more",
            "203.0.113.7",
            "Everyone who can use the program on workshop-server will be able to use this account.",
            "The code that the program on workshop-server shows",
            "Never type a code that somebody else sent you.",
        ):
            assert words in page.text
        assert page.attributes("time") == [{"datetime": "2025-11-22T08:34:00Z"}]

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (-30, "less than a minute ago"),  # two machines' clocks
            (0, "less than a minute ago"),
            (59.9, "less than a minute ago"),
            (60, "1 minute ago"),
            (119, "1 minute ago"),
            (120, "2 minutes ago"),
            (3600, "60 minutes ago"),
            (3661, "more than an hour ago"),
        ],
    )
    def test_says_how_long_ago(self, seconds: float, words: str) -> None:
        page = Html(pages_at(OPENED_AT + seconds).confirm(ABOUT, response="r", token="t"))
        assert f"Opened{words}, good for" in page.text.replace("\n", "")

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "good for 10 more"),
            (61, "good for 8 more"),
            (540, "good for 1 more"),
            (541, "good for less than a minute more"),
            (700, "good for less than a minute more"),
        ],
    )
    def test_says_how_long_it_is_good(self, seconds: float, words: str) -> None:
        page = Html(pages_at(OPENED_AT + seconds).confirm(ABOUT, response="r", token="t"))
        assert words in page.text

    def test_what_is_over_is_not_good_for_any_time(self) -> None:
        page = html("refusal-LOGIN_OVER", about(good_until=None))
        assert "minutes ago" in page.text
        assert "good for" not in page.text


class TestNames:
    def test_a_name_of_its_own_is_not_said_twice(self) -> None:
        assert "Calls itself" not in html("confirm", about(calls_itself="workshop-server")).text

    def test_no_name_of_its_own(self) -> None:
        assert "Calls itself" not in html("confirm", about()).text

    def test_not_enrolled_is_said(self) -> None:
        page = html("completion", about(registered_name=None, calls_itself="Ana's box"))
        assert "This relay does not know it: anybody can choose a name." in page.text
        assert "does not know it" not in html("completion").text

    def test_without_a_provider(self) -> None:
        assert "You have signed in with the sign-in provider." in (
            html("confirm", about(provider=None)).text
        )

    def test_an_mcp_servers_name_and_host_read_well(self) -> None:
        linear = about(provider="Linear (mcp.linear.app)")
        wanted = "You have signed in with Linear (mcp.linear.app). Now the program on workshop"
        assert wanted in html("confirm", linear).text
        wanted = "You have signed in with Linear (mcp.linear.app). To let the program on "
        assert wanted in html("completion", linear).text
        wanted = "Signing in with Linear (mcp.linear.app) did not work. The sign-in was refused "
        assert wanted in html("idp-error", linear).text

    def test_sentences_use_the_registered_name(self) -> None:
        page = html("refusal-LOGIN_OVER")
        assert "Look at the program on workshop-server." in page.text
        assert "Look at the program." in html("refusal-LOGIN_OVER-alone").text


class TestCompletion:
    def test_shows_the_code_once(self) -> None:
        page = html("completion")
        assert page.of("code") == "KTRW-9F2D"
        assert page.text.count("KTRW-9F2D") == 1
        assert page.text.count("Never tell or send this code to anybody.") == 1


class TestOnward:
    def test_goes_on_to_the_very_address(self) -> None:
        page = html("onward")
        (refresh,) = [a for a in page.attributes("meta") if a.get("http-equiv") == "refresh"]
        assert refresh["content"] == f"0;url={ADDRESS}"
        (link,) = page.attributes("a")
        assert link == {"href": ADDRESS}


class TestIdpError:
    @pytest.mark.parametrize("error", IDP_ERRORS)
    def test_has_a_sentence_of_its_own(self, error: str) -> None:
        pages = pages_at()
        page = pages.idp_error(ABOUT, error=error)
        assert page.status_code == 200
        others = [pages.idp_error(ABOUT, error=e).body for e in [*IDP_ERRORS, "x"] if e != error]
        assert page.body not in others

    @pytest.mark.parametrize("error", [*IDP_ERRORS, "odd_reason", "<b>odd", "{provider}", ""])
    def test_never_shows_what_was_sent(self, error: str) -> None:
        page = Html(pages_at().idp_error(ABOUT, error=error))
        assert not error or error not in page.text

    def test_unknown_ones_share_a_page(self) -> None:
        pages = pages_at()
        odd, other = (pages.idp_error(ABOUT, error=e) for e in ("odd_reason", "other_reason"))
        assert odd.body == other.body
        assert "does not know the reason" in Html(odd).text


class TestRefusal:
    def test_statuses(self) -> None:
        assert {reason.name: reason.status for reason in Refusal} == STATUSES

    @pytest.mark.parametrize("reason", Refusal)
    def test_is_answered_with_its_status(self, reason: Refusal) -> None:
        assert pages_at().refusal(reason).status_code == STATUSES[reason.name]

    @pytest.mark.parametrize("reason", Refusal)
    def test_names_the_login_at_hand(self, reason: Refusal) -> None:
        with_login, without = html(f"refusal-{reason.name}"), html(f"refusal-{reason.name}-alone")
        assert "workshop-server" in with_login.isolated
        assert without.isolated == []

    def test_over_reassures_who_pressed_allow_twice(self) -> None:
        assert "If you have pressed Allow twice, it has worked." in html("refusal-LOGIN_OVER").text

    def test_only_what_to_do_first_is_bold(self) -> None:
        page = html("done")
        assert page.of("strong") == "You can close this page."
        assert "If the program still waits after a minute, look whether it runs, then" in page.text
        assert "quiet" not in {attrs.get("class") for attrs in html("declined").attributes("p")}

    def test_done_and_declined_are_ordinary_pages(self) -> None:
        assert pages_at().done().status_code == pages_at().declined().status_code == 200


def _body(name: str) -> bytes:
    return bytes(SHOWS[name](pages_at(), ABOUT).body)
