"""The confirm page's form, and what pages show of what came from outside."""

import re
from typing import Any

import pytest
from opencode_relay.login import Status

from tests.threats.world import (
    ISSUER,
    RETURN_URL,
    SAME_ORIGIN,
    World,
    form_of,
)

SCRIPT = "<script>alert(1)</script>"
HOSTILE_NAME = '"><img src=x onerror=alert(1)>'


class TestConsentFormForgedOrFramed:
    """FastMCP issue 3519 and GHSA-6x8h-498w-gv8c: consent that another page gives."""

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": "null"},
            {"Origin": "https://evil.example"},
            {"Origin": ISSUER + ".evil.example"},
            {"Origin": "http://relay.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site", "Origin": ISSUER},
        ],
        ids=str,
    )
    async def test_another_sites_form_is_refused(
        self, world: World, headers: dict[str, str]
    ) -> None:
        login = await world.open()
        page = await world.callback(login)
        before = await world.row(login)
        for decision in ("allow", "deny"):
            refused = await world.press(page, decision, login.pairing_code, headers=headers)
            assert refused.status_code == 403
            assert await world.row(login) == before

    async def test_a_response_of_somebody_elses_cannot_be_put_under_the_token(
        self, world: World
    ) -> None:
        login, attackers = await world.open(), await world.open()
        fields = form_of(await world.callback(login))
        other = form_of(await world.callback(login, code="attackers-code"))
        for swapped in (
            {**fields, "response": other["response"]},
            {**fields, "response": form_of(await world.callback(attackers))["response"]},
            {**fields, "response": "x" + fields["response"][1:]},
            {**fields, "response": ""},
        ):
            assert (await world.press(swapped, code=login.pairing_code)).status_code == 403
        assert (await world.row(login)).status is Status.PENDING

    async def test_a_changed_or_borrowed_token_is_refused(self, world: World) -> None:
        login = await world.open()
        fields = form_of(await world.callback(login))
        token = fields["token"]
        for other in ("", token + "x", token[:-8] + "AAAAAAAA", login.state, token.swapcase()):
            changed = {**fields, "token": other}
            assert (await world.press(changed, code=login.pairing_code)).status_code == 403
        assert (await world.row(login)).status is Status.PENDING

    async def test_another_rendering_cannot_take_back_a_decision(self, world: World) -> None:
        login = await world.open()
        first, second = await world.callback(login), await world.callback(login)
        assert (await world.press(first, "deny")).headers["location"] == "/auth/declined"
        for page, decision in ((second, "allow"), (first, "allow"), (second, "deny")):
            assert (await world.press(page, decision, login.pairing_code)).status_code == 409
        assert (await world.collect(login)).status_code == 410

    async def test_no_page_can_be_framed(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login)
        wrong = await world.press(page, code="0000-0000")
        done = await world.at("::1").get("/auth/done")
        missing = await world.at("::1").get("/auth/missing")
        for shown in (page, wrong, done, missing):
            directives = shown.headers["content-security-policy"].split("; ")
            assert {"frame-ancestors 'none'", "form-action 'self'"} <= set(directives)

    async def test_an_honest_form_is_taken(self, world: World) -> None:
        for headers in (SAME_ORIGIN, {"Origin": ISSUER}, {**SAME_ORIGIN, "Origin": ISSUER}):
            login = await world.open()
            page = await world.callback(login)
            pressed = await world.press(page, code=login.pairing_code, headers=headers)
            assert pressed.headers["location"] == "/auth/done"


class TestUnescapedNamesAndErrorTexts:
    """FastMCP issue 3418; opencode's own listener writes `error_description` into its page."""

    @pytest.mark.parametrize("how", [{}, {"confirmation": "completion_code"}], ids=str)
    async def test_names_are_escaped_and_isolated(self, world: World, how: dict[str, Any]) -> None:
        login = await world.open(name=HOSTILE_NAME, provider=SCRIPT, **how)
        page = await world.callback(login)
        assert page.status_code == 200
        assert "<img" not in page.text
        assert "<script" not in page.text
        assert "<bdi>&#34;&gt;&lt;img src=x onerror=alert(1)&gt;</bdi>" in page.text
        assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in page.text

    async def test_a_registered_name_is_escaped_too(self, world: World) -> None:
        key = await world.enrol(HOSTILE_NAME, [RETURN_URL])
        for how in ({}, {"delivery": "redirect", "return_url": RETURN_URL}):
            login = await world.open(key=key, **how)
            for params in ({"code": "c"}, {"error": "access_denied"}):
                page = await world.callback(login, **params)
                assert "<img" not in page.text
                if how or "code" in params:
                    assert "<bdi>&#34;&gt;&lt;img src=x onerror=alert(1)&gt;</bdi>" in page.text

    async def test_the_providers_words_are_not_shown_at_all(self, world: World) -> None:
        for error in ("access_denied", SCRIPT, "call-0800-EVIL"):
            login = await world.open()
            page = await world.callback(
                login, error=error, error_description="call 0800-EVIL now", error_uri=SCRIPT
            )
            assert page.status_code == 200
            assert not re.search("EVIL|<script|&lt;script", page.text)
            sealed = (await world.collect(login)).json()["response"]
            params = world.unsealed(login, sealed)
            assert params["error"] == error  # the instance learns of it
            assert params["error_description"] == "call 0800-EVIL now"

    async def test_what_is_asked_for_is_not_repeated(self, world: World) -> None:
        for path in (f"/auth/{SCRIPT}", f"/auth/callback?state={SCRIPT}&code=a"):
            page = await world.at("::1").get(path)
            assert page.status_code in {400, 404}
            assert "alert(1)" not in page.text

    async def test_a_script_that_got_in_would_not_run(self, world: World) -> None:
        page = await world.callback(await world.open())
        policy = page.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "base-uri 'none'" in policy
        assert not any(d.startswith("script-src") or "unsafe" in d for d in policy)
        assert page.headers["x-content-type-options"] == "nosniff"
