"""What goes wrong between people in relays like this: who opens a login, and who finishes it.

One class for each failure; tests/without takes out what protects against it and sees it fail. The
failures of pages and tickets that the plugin will serve have no class here: there are none yet.
"""

from opencode_relay.login import Confirmation, Status
from opencode_relay.settings import Settings

from tests.threats.conftest import Make
from tests.threats.world import (
    CODE,
    HERE,
    RETURN_URL,
    THERE,
    WRONG,
    World,
    code_on,
    form_of,
    onward_to,
)


class TestAttackerOpensVictimFinishes:
    """FastMCP GHSA-c2jp-c369-7pvx, CVE-2026-27124; Expo CVE-2023-28131; RFC 8628 §5.4."""

    async def test_a_click_on_allow_is_not_enough(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login)
        for code in ("", WRONG, "KTRW-9F2D"):
            assert (await world.press(page, code=code)).status_code == 422
        assert (await world.collect(login)).json() == {"status": "pending"}

    async def test_the_page_never_supplies_the_code(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login)
        refused = await world.press(page, code=WRONG)
        for shown in (page, refused):
            assert login.pairing_code not in shown.text
            assert login.pairing_code.replace("-", "") not in shown.text
            assert "pairing_code" not in form_of(shown)

    async def test_nothing_is_remembered_of_an_allowed_login(self, world: World) -> None:
        first = await world.open()
        page = await world.callback(first)
        done = await world.press(page, code=first.pairing_code)
        assert done.status_code == 303
        assert "set-cookie" not in {**page.headers, **done.headers}
        second = await world.open()
        page = await world.callback(second)
        assert (await world.press(page, code=first.pairing_code)).status_code == 422
        assert (await world.collect(second)).status_code == 202

    async def test_strangers_open_no_login(self, world: World) -> None:
        assert Settings().enrolment == "closed"
        refused = await world.ask_to_open(key="", name="workshop")
        assert refused.status_code == 401
        assert refused.json()["type"].endswith("/problems/instance-key-required")

    async def test_a_stranger_never_gets_a_login_that_the_victim_only_clicks_through(
        self, make_world: Make
    ) -> None:
        world = await make_world(enrolment="open")
        login = await world.open(key="", name="workshop")
        assert (login.confirmation, login.pairing_code) == ("completion_code", "")
        assert (await world.callback(login)).status_code == 200
        assert (await world.collect(login)).json() == {"status": "held"}
        assert (await world.complete(login, WRONG)).status_code == 403
        assert (await world.collect(login)).json() == {"status": "held"}


class TestLinkHolderSignsInWithTheirOwnAccount:
    """RFC 9700 §4.7: the attacker's account, put into the victim's instance."""

    async def test_the_pairing_code_is_needed(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login, code="attackers-code")
        assert (await world.press(page, code=WRONG)).status_code == 422
        assert (await world.row(login)).status is Status.PENDING
        victims = await world.callback(login, address=HERE)
        pressed = await world.press(victims, code=login.pairing_code, address=HERE)
        assert pressed.status_code == 303
        sealed = (await world.collect(login)).json()["response"]
        assert world.unsealed(login, sealed)["code"] == CODE

    async def test_the_victim_never_types_the_attackers_completion_code(self, world: World) -> None:
        login = await world.open(confirmation="completion_code")
        attackers = code_on(await world.callback(login, code="attackers-code"))
        assert (await world.collect(login)).json() == {"status": "held"}
        # The victim's browser comes second, and is shown no code that would release the other's.
        victims = await world.callback(login, address=HERE)
        assert victims.status_code == 409
        assert attackers not in victims.text
        assert (await world.complete(login, WRONG)).status_code == 403
        assert (await world.collect(login)).json() == {"status": "held"}

    async def test_a_redirect_response_comes_with_the_attackers_browser_only(
        self, world: World
    ) -> None:
        login = await world.open(delivery="redirect", return_url=RETURN_URL)
        before = await world.row(login)
        address = onward_to(await world.callback(login, code="attackers-code"))
        assert address.startswith(f"{RETURN_URL}?response=")
        assert await world.row(login) == before


class TestLeakedKeyCollectsARedirectLogin:
    """An earlier draft of this protocol: a `redirect` login that could be collected."""

    async def test_it_can_never_be_collected(self, world: World) -> None:
        login = await world.open(delivery="redirect", return_url=RETURN_URL)
        for _ in range(2):
            for wait in (0, 1):
                refused = await world.collect(login, wait=wait)
                assert refused.status_code == 409
                assert refused.json()["type"].endswith("/problems/delivery-is-redirect")
            assert (await world.callback(login)).status_code == 200

    async def test_nothing_of_the_callback_is_kept(self, world: World) -> None:
        login = await world.open(delivery="redirect", return_url=RETURN_URL)
        await world.callback(login)
        assert (await world.row(login)).response is None
        assert (await world.row(login)).arrived_at is None

    async def test_it_takes_no_code_either(self, world: World) -> None:
        login = await world.open(delivery="redirect", return_url=RETURN_URL)
        await world.callback(login)
        assert (await world.complete(login, WRONG)).status_code == 409

    async def test_where_the_operator_demands_the_code_it_is_not_offered(
        self, make_world: Make
    ) -> None:
        world = await make_world(confirmation=Confirmation.COMPLETION_CODE)
        refused = await world.ask_to_open(delivery="redirect", return_url=RETURN_URL)
        assert refused.status_code == 403
        discovery = await world.at(THERE).get("/.well-known/opencode-relay")
        assert "redirect" not in discovery.json()["deliveries_supported"]


class TestAStrayCallbackKillsTheLogin:
    """opencode's own codex listener drops a pending login on any callback with another state."""

    async def test_what_is_refused_changes_nothing(self, world: World) -> None:
        login = await world.open(idp_issuer="https://idp.example")
        before = await world.row(login)
        get, state = world.at(THERE).get, login.state
        forged = state[:-6] + ("AAAAAA" if not state.endswith("AAAAAA") else "BBBBBB")
        for query in (
            {"state": forged, "code": CODE, "iss": "https://idp.example"},
            {"state": state, "code": CODE, "iss": "https://other.example"},
            {"state": state, "error": "access_denied", "iss": "https://other.example"},
            {"state": state, "code": CODE},
            {"state": state, "code": CODE, "error": "access_denied", "iss": "https://idp.example"},
            {"state": state, "iss": "https://idp.example"},
            {"code": CODE},
        ):
            assert (await get("/auth/callback", params=query)).status_code == 400
            assert await world.row(login) == before
        twice = f"/auth/callback?state={state}&code=a&code=b"
        assert (await get(twice)).status_code == 400
        assert (
            await world.at(THERE).head(f"/auth/callback?state={state}&code=a")
        ).status_code == 405
        url = f"/auth/callback?state={state}&code=a&iss=https://idp.example"
        for early in (
            {"Sec-Purpose": "prefetch;prerender"},
            {"Purpose": "prefetch"},
            {"X-Purpose": "preview"},
            {"X-Moz": "prefetch"},
        ):
            assert (await get(url, headers=early)).status_code == 503
        assert await world.row(login) == before
        page = await world.callback(login, iss="https://idp.example")
        assert (await world.press(page, code=login.pairing_code)).status_code == 303

    async def test_a_refused_callback_does_not_replace_what_is_held(self, world: World) -> None:
        login = await world.open(confirmation="completion_code")
        code = code_on(await world.callback(login))
        held = await world.row(login)
        assert (await world.callback(login, code="another")).status_code == 409
        assert (await world.callback(login, error="access_denied")).status_code == 409
        assert await world.row(login) == held
        assert (await world.complete(login, code)).status_code == 204

    async def test_a_redirect_callback_changes_nothing_at_all(self, world: World) -> None:
        login = await world.open(delivery="redirect", return_url=RETURN_URL)
        before = await world.row(login)
        for params in ({"code": CODE}, {"code": "another"}, {"error": "access_denied"}):
            assert (await world.callback(login, **params)).status_code == 200
            assert await world.row(login) == before
