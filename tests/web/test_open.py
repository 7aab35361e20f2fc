"""Opening a login: who is let in, what comes back, and how it will be confirmed."""

import json
import re
from base64 import urlsafe_b64decode

import httpx
import pytest
from opencode_relay.errors import StoreUnavailable
from opencode_relay.login import Confirmation

from tests.support.clock import Clock
from tests.support.wire import (
    ISSUER,
    RETURN_URL,
    MakeWire,
    Opened,
    Wire,
    bearer,
    check_problem,
)

HEADER = b'{"typ":"login-state+jwt","alg":"HS256",'


def part(state: str, index: int) -> bytes:
    text = state.split(".")[index]
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_an_opened_login_is_201_with_its_location(wire: Wire) -> None:
    answer = await wire.post(wire.body())
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/logins/{answer.json()['login_id']}"


async def test_the_answer_holds_what_the_protocol_lists(wire: Wire) -> None:
    discovery = (await wire.http.get("/.well-known/opencode-relay")).json()
    answer = (await wire.open()).answer
    assert re.fullmatch("[A-Za-z0-9_-]{22,}", answer.pop("login_id"))
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", answer.pop("state"))
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", answer.pop("pairing_code"))
    assert answer == {
        "redirect_uri": f"{ISSUER}/auth/callback",
        "confirmation": "pairing_code",
        "expires_in": 600,
        "max_wait": discovery["max_wait"],
    }


async def test_a_login_lives_as_long_as_configured(make_wire: MakeWire) -> None:
    wire = make_wire(login_lifetime=90, max_wait=3, enrolment="open")
    answer = (await wire.open(name="x")).answer
    assert (answer["expires_in"], answer["max_wait"]) == (90, 3)


async def test_two_logins_have_nothing_in_common(wire: Wire) -> None:
    one, two = (await wire.open()).answer, (await wire.open()).answer
    for name in ("login_id", "state", "pairing_code"):
        assert one[name] != two[name]


# The state


async def test_the_state_begins_with_the_bytes_that_tell_it_from_any_other(wire: Wire) -> None:
    header = part((await wire.open()).state, 0)
    assert header.startswith(HEADER)
    assert list(json.loads(header)) == ["typ", "alg", "kid"]


async def test_the_state_claims_issuer_purpose_login_and_time(wire: Wire, clock: Clock) -> None:
    login = await wire.open()
    assert json.loads(part(login.state, 1)) == {
        "iss": ISSUER,
        "aud": "login-state",
        "jti": login.id,
        "iat": int(clock()),
        "exp": int(clock()) + 600,
    }


async def test_the_state_has_500_characters_at_most(make_wire: MakeWire) -> None:
    issuer = f"https://{'a' * 48}.example"
    wire = make_wire(public_url=issuer, enrolment="open")
    assert len(issuer) == 64
    assert len((await wire.open(name="x")).state) <= 500


# The table of who confirms how


async def confirmation(wire: Wire, **members: str) -> object:
    return (await wire.open(**members)).answer["confirmation"]


async def test_an_enrolled_instance_gets_a_pairing_code(wire: Wire) -> None:
    assert await confirmation(wire) == "pairing_code"
    assert await confirmation(wire, delivery="poll") == "pairing_code"


async def test_an_enrolled_instance_may_ask_for_the_completion_code(wire: Wire) -> None:
    assert await confirmation(wire, confirmation="completion_code") == "completion_code"


async def test_the_operator_may_demand_the_completion_code(make_wire: MakeWire) -> None:
    wire = make_wire(confirmation=Confirmation.COMPLETION_CODE)
    await wire.enrol()
    assert await confirmation(wire) == "completion_code"


async def test_redirect_is_confirmed_by_the_instance_itself(wire: Wire) -> None:
    assert await confirmation(wire, delivery="redirect", return_url=RETURN_URL) == "none"


async def test_a_stranger_gets_the_completion_code(open_wire: Wire) -> None:
    assert await confirmation(open_wire, name="Ana's laptop") == "completion_code"


async def test_an_enrolled_instance_keeps_its_way_where_enrolment_is_open(open_wire: Wire) -> None:
    await open_wire.enrol()
    assert await confirmation(open_wire) == "pairing_code"


@pytest.mark.parametrize("confirmation", ["completion_code"])
async def test_only_a_pairing_code_comes_with_one(wire: Wire, confirmation: str) -> None:
    assert "pairing_code" not in (await wire.open(confirmation=confirmation)).answer


# Keys


async def post_with(wire: Wire, authorization: str | None) -> httpx.Response:
    wire.key = None
    headers = {} if authorization is None else {"Authorization": authorization}
    return await wire.post(wire.body(name="x"), **headers)


async def test_a_key_is_required_where_enrolment_is_closed(wire: Wire) -> None:
    answer = await post_with(wire, None)
    check_problem(answer, 401, "instance-key-required")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def used_at(wire: Wire) -> float | None:
    assert wire.instance
    found = await wire.store.get_instance(wire.instance.id)
    assert found
    return found.last_used_at


async def test_that_a_key_is_used_is_written_once_an_hour(wire: Wire, clock: Clock) -> None:
    assert await used_at(wire) is None
    began = clock.now
    for later, written in ((0, began), (3599, began), (1, began + 3600), (60, began + 3600)):
        clock.advance(later)
        await wire.open()
        assert await used_at(wire) == written


async def test_a_refused_key_is_not_used(wire: Wire) -> None:
    assert wire.instance
    of_its_id = wire.instance.with_new_key(0)[1].reveal()
    check_problem(await post_with(wire, f"Bearer {of_its_id}"), 401, "instance-key-invalid")
    assert await used_at(wire) is None


async def test_a_login_is_opened_though_its_keys_use_cannot_be_written(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> bool:
        raise StoreUnavailable("a full disk")

    monkeypatch.setattr(wire.store, "note_use", fail)
    await wire.open()
    assert "use_not_noted" in caplog.messages


async def revoked(wire: Wire) -> str:
    assert wire.instance
    assert wire.key
    await wire.store.remove_instance(wire.instance.id)
    return f"Bearer {wire.key.reveal()}"


async def test_a_revoked_key_is_invalid(wire: Wire) -> None:
    answer = await post_with(wire, await revoked(wire))
    check_problem(answer, 401, "instance-key-invalid")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer", "Basic b2NyOng=", ""])
async def test_a_key_that_is_sent_and_wrong_is_never_taken_as_absent(
    open_wire: Wire, authorization: str
) -> None:
    check_problem(await post_with(open_wire, authorization), 401, "instance-key-invalid")


async def test_a_mistyped_key_is_told_from_a_wrong_one(wire: Wire) -> None:
    assert wire.key
    key = wire.key.reveal()
    mistyped = key[:-8] + ("0" if key[-8] != "0" else "1") + key[-7:]
    problem = check_problem(
        await post_with(wire, f"Bearer {mistyped}"), 401, "instance-key-invalid"
    )
    assert "mistyped" in problem["detail"]


async def test_two_authorization_headers_are_no_key(wire: Wire) -> None:
    assert wire.key
    good = ("Authorization", f"Bearer {wire.key.reveal()}")
    answer = await wire.http.post("/v1/logins", json=wire.body(), headers=[good, good])
    check_problem(answer, 401, "instance-key-invalid")


async def test_a_new_key_works_at_once_and_the_old_one_for_a_day(wire: Wire, clock: Clock) -> None:
    assert wire.instance
    assert wire.key
    changed, new = wire.instance.with_new_key(clock())
    assert await wire.store.replace_instance(changed)
    old = wire.key.reveal()

    async def status(key: str) -> int:
        answer = await wire.http.post("/v1/logins", json=wire.body(), headers=bearer(key))
        return answer.status_code

    assert (await status(old), await status(new.reveal())) == (201, 201)
    clock.advance(24 * 3600)
    assert (await status(old), await status(new.reveal())) == (401, 201)


async def test_the_store_keeps_neither_verifier_state_nor_pairing_code(wire: Wire) -> None:
    login: Opened = await wire.open()
    kept = repr(await wire.kept(login)) + str((await wire.kept(login)).pairing_hash)
    for secret in (login.verifier, login.state, login.pairing_code):
        assert secret not in kept
