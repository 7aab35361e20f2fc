"""What the relay signs for itself and for instances, and what must not pass for it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.login import Status
from opencode_relay.response import SealError

from tests.threats import forge
from tests.threats.forge import ABSENT
from tests.threats.world import CODE, IDP, THERE, World, form_of

SYMMETRIC = [purpose for purpose in Purpose if purpose is not Purpose.RESPONSE]
OTHERS = [purpose for purpose in SYMMETRIC if purpose is not Purpose.STATE]


class TestOneKeyManyPurposes:
    """Better Auth CVE-2026-110864 and CVE-2026-114607; RFC 8725 §3.1, §3.11, §3.12."""

    async def test_the_forger_of_these_tests_makes_what_is_taken(self, world: World) -> None:
        login = await world.open()
        assert (await world.callback(forge.state(world, login))).status_code == 200
        assert world.unsealed(login, forge.response(world, login)) == {"code": CODE}

    async def test_the_pages_token_is_no_state_and_the_state_no_token(self, world: World) -> None:
        login = await world.open()
        fields = form_of(await world.callback(login))
        assert (await world.callback(fields["token"])).status_code == 400
        swapped = {**fields, "token": login.state}
        assert (await world.press(swapped, code=login.pairing_code)).status_code == 403

    @pytest.mark.parametrize("purpose", OTHERS, ids=str)
    async def test_a_key_of_another_purpose_signs_no_state(
        self, world: World, purpose: Purpose
    ) -> None:
        login = await world.open()
        other = world.ring.in_use(purpose, world.clock())
        for kid in (other.kid, world.ring.in_use(Purpose.STATE, world.clock()).kid):
            forged = forge.state(world, login, key=other.symmetric, kid=kid)
            assert (await world.callback(forged)).status_code == 400

    @pytest.mark.parametrize(
        "changed",
        [
            *({"typ": typ} for typ in ("JWT", "login-confirm+jwt", "login-response+jwt", ABSENT)),
            *({"aud": aud} for aud in ("login-confirm", "login", "", ["login-confirm"])),
            {"iss": "https://other-relay.example"},
            {"alg": "HS384"},
            {"alg": "HS512"},
            {"alg": "none"},
        ],
        ids=str,
    )
    async def test_what_is_signed_with_the_right_key_must_be_for_this(
        self, world: World, changed: dict[str, Any]
    ) -> None:
        login = await world.open()
        assert (await world.callback(forge.state(world, login, **changed))).status_code == 400
        assert (await world.row(login)).arrived_at is None

    async def test_the_public_key_is_no_secret_to_sign_with(self, world: World) -> None:
        login = await world.open()
        own = world.ring.in_use(Purpose.RESPONSE, world.clock())
        assert own.private
        public = own.private.public_key()
        # PyJWT refuses a PEM as a secret, in the forger's hands too; the raw point it takes.
        raw = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        forged = forge.state(world, login, key=raw, kid=own.kid)
        assert (await world.callback(forged)).status_code == 400

    @pytest.mark.parametrize(
        "changed",
        [
            {"typ": "JWT"},
            {"typ": "login-state+jwt"},
            {"typ": ABSENT},
            {"aud": "another-login"},
            {"aud": "login-state"},
            {"iss": "https://other-relay.example"},
            {"kid": "another"},
            {"cty": ABSENT},
            {"enc": "A128GCM"},
            {"alg": "HS256", "key": b"\x00" * 32},
            {"key": Key.new(Purpose.RESPONSE, 0).private},
        ],
        ids="-".join,
    )
    async def test_an_instance_opens_nothing_else_as_a_response(
        self, world: World, changed: dict[str, Any]
    ) -> None:
        login = await world.open()
        with pytest.raises(SealError):
            world.unsealed(login, forge.response(world, login, **changed))


class TestMissingValueTakenAsAPass:
    """hono CVE-2026-81888: what is not there was not checked. RFC 8725 §3.8 and §3.9."""

    @pytest.mark.parametrize("name", ["iss", "aud", "jti", "iat", "exp", "typ", "kid"])
    async def test_a_state_without_one_of_its_parts(self, world: World, name: str) -> None:
        login = await world.open()
        absent: dict[str, Any] = {name: ABSENT}
        forged = forge.state(world, login, **absent)
        assert (await world.callback(forged)).status_code == 400
        assert (await world.row(login)).arrived_at is None

    @pytest.mark.parametrize("name", ["state", "code"])
    async def test_a_callback_without_a_parameter(self, world: World, name: str) -> None:
        login = await world.open()
        for value in ({}, {name: ""}):
            query = {"state": login.state, "code": CODE}
            del query[name]
            answer = await world.at(THERE).get("/auth/callback", params={**query, **value})
            assert answer.status_code == 400
        assert (await world.row(login)).arrived_at is None

    async def test_no_iss_where_the_provider_sends_one(self, world: World) -> None:
        login = await world.open(idp_issuer=IDP)
        assert (await world.callback(login)).status_code == 400
        assert (await world.callback(login, error="access_denied")).status_code == 400
        with pytest.raises(SealError):
            world.unsealed(login, forge.response(world, login), idp_issuer=IDP)

    @pytest.mark.parametrize("name", ["token", "response", "decision"])
    async def test_a_form_without_a_field(self, world: World, name: str) -> None:
        login = await world.open()
        fields = form_of(await world.callback(login))
        before = await world.row(login)
        form = {**fields, "decision": "allow", "pairing_code": login.pairing_code}
        del form[name]
        headers = {"Sec-Fetch-Site": "same-origin"}
        answer = await world.at(THERE).post("/auth/confirm", data=form, headers=headers)
        assert answer.status_code == (400 if name == "decision" else 403)
        assert await world.row(login) == before

    async def test_a_form_without_its_code(self, world: World) -> None:
        login = await world.open()
        assert (await world.press(await world.callback(login), code="")).status_code == 422

    async def test_a_form_that_nothing_says_where_from(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login)
        pressed = await world.press(page, code=login.pairing_code, headers={})
        assert pressed.status_code == 403
        assert (await world.row(login)).status is Status.PENDING

    @pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", "Basic eDp5", "bearer short"])
    async def test_an_instance_without_its_verifier(self, world: World, sent: str | None) -> None:
        login, _ = await world.released()
        headers = {} if sent is None else {"Authorization": sent}
        own = f"/v1/logins/{login.id}"
        before = await world.row(login)
        for method, path in (
            ("GET", f"{own}/response"),
            ("POST", f"{own}/completion"),
            ("DELETE", own),
        ):
            refused = await world.at(THERE).request(method, path, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert await world.row(login) == before

    async def test_a_login_whose_challenge_is_erased_has_no_owner(self, world: World) -> None:
        login, _ = await world.released()
        await world.finish(login)
        assert (await world.row(login)).collect_challenge is None
        assert (await world.collect(login)).status_code == 404

    async def test_a_key_that_is_sent_and_wrong_is_not_taken_as_absent(
        self, make_world: Any
    ) -> None:
        world = await make_world(enrolment="open")
        for key in ("x", "ocr_", world.instance_key[:-1], world.instance_key + "0"):
            assert (await world.ask_to_open(key=key, name="n")).status_code == 401

    async def test_a_completion_without_its_code_uses_no_try(self, world: World) -> None:
        login = await world.open(confirmation="completion_code")
        await world.callback(login)
        before = await world.row(login)
        for code in ("", "0000", "00000000000"):
            assert (await world.complete(login, code)).status_code == 400
        assert await world.row(login) == before

    @pytest.mark.parametrize("name", ["iss", "aud", "exp", "params", "kid"])
    async def test_a_response_without_one_of_its_parts(self, world: World, name: str) -> None:
        login = await world.open()
        absent: dict[str, Any] = {name: ABSENT}
        with pytest.raises(SealError):
            world.unsealed(login, forge.response(world, login, **absent))


class TestMixUpOfIdentityProviders:
    """Auth.js CVE-2026-73419; RFC 9207 §2.4; RFC 9700 §2.1."""

    @pytest.mark.parametrize("how", [{}, {"confirmation": "completion_code"}], ids=str)
    async def test_another_providers_answer_is_refused(
        self, world: World, how: dict[str, str]
    ) -> None:
        login = await world.open(idp_issuer=IDP, **how)
        before = await world.row(login)
        for iss in ({}, {"iss": "https://evil.example"}, {"iss": IDP + "/"}, {"iss": ""}):
            assert (await world.callback(login, **iss)).status_code == 400
            assert (await world.callback(login, error="access_denied", **iss)).status_code == 400
            assert await world.row(login) == before
        assert (await world.callback(login, iss=IDP)).status_code == 200

    async def test_the_instance_sees_who_answered(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login, iss="https://evil.example", session_state="s")
        await world.press(page, code=login.pairing_code)
        sealed = (await world.collect(login)).json()["response"]
        params = world.unsealed(login, sealed)
        assert params == {"code": CODE, "iss": "https://evil.example", "session_state": "s"}
        with pytest.raises(SealError):
            world.unsealed(login, sealed, idp_issuer=IDP)

    async def test_no_parameter_is_there_twice(self, world: World) -> None:
        login = await world.open(idp_issuer=IDP)
        before = await world.row(login)
        for again in ("iss=https://evil.example", "code=b", f"state={login.state}", "x=1&x=2"):
            url = f"/auth/callback?state={login.state}&code=a&iss={IDP}&{again}"
            assert (await world.at(THERE).get(url)).status_code == 400
        form = {"state": login.state, "code": "a", "iss": IDP}
        posted = await world.at(THERE).post("/auth/callback?iss=https://evil.example", data=form)
        assert posted.status_code == 400
        assert await world.row(login) == before
