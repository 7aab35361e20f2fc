"""What one caller can do to all: guess, flood, and take every place."""

import asyncio
import hmac
import re

import pytest
from opencode_relay.keys import proofs
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.login import Login, Status

from tests.threats.conftest import Make
from tests.threats.stores import Yielding
from tests.threats.world import HERE, THERE, WRONG, World, code_on, new_verifier, until

PATIENCE = 5  # seconds until a request counts as not answered


class TestRateLimitDodgedByAnotherIPv6Address:
    """Better Auth CVE-2026-45364: whoever has one IPv6 address has 2**64 of them."""

    async def test_strangers_of_one_network_share_a_limit(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=3)
        statuses = []
        for last in range(5):
            answer = await world.ask_to_open(key="", name="n", address=f"2001:db8:1:2::{last}")
            statuses.append(answer.status_code)
        assert statuses == [201, 201, 201, 429, 429]
        assert int(answer.headers["retry-after"]) > 0
        answer = await world.ask_to_open(key="", name="n", address="2001:db8:1:3::1")
        assert answer.status_code == 201

    async def test_an_ipv4_address_in_ipv6_clothes_is_the_same(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=1)
        assert (await world.ask_to_open(key="", name="n", address=HERE)).status_code == 201
        mapped = await world.ask_to_open(key="", name="n", address=f"::ffff:{HERE}")
        assert mapped.status_code == 429

    async def test_nor_does_a_header_help(self, make_world: Make) -> None:
        world = await make_world(address_limit=2)
        statuses = []
        for last in range(4):
            lies = {"X-Forwarded-For": f"192.0.2.{last}", "Forwarded": f"for=192.0.2.{last}"}
            headers = {"Authorization": "Bearer ocr_guess", **lies}
            answer = await world.at(THERE).post("/v1/logins", json={}, headers=headers)
            statuses.append(answer.status_code)
        assert statuses == [401, 401, 429, 429]

    async def test_an_enrolled_instance_has_a_limit_of_its_own(self, make_world: Make) -> None:
        world = await make_world(open_limit=2, address_limit=1)
        other = await world.enrol("other")
        statuses = [
            (await world.ask_to_open(address=f"2001:db8:{n}::1")).status_code for n in range(3)
        ]
        assert statuses == [201, 201, 429]
        assert (await world.ask_to_open(key=other)).status_code == 201
        world.clock.pass_by(60)
        assert (await world.ask_to_open()).status_code == 201

    async def test_wrong_pairing_codes_are_counted_by_network(self, make_world: Make) -> None:
        world = await make_world(address_limit=3)
        login = await world.open()
        page = await world.callback(login)
        for last in range(3):
            wrong = await world.press(page, code=WRONG, address=f"2001:db8::{last}")
            assert wrong.status_code == 422
        refused = await world.press(page, code=login.pairing_code, address="2001:db8::9")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert (await world.press(page, code=login.pairing_code)).status_code == 303


class TestOneCallerTiesUpEverybodysWaiting:
    """Waiting places, and look-ups that strangers cause, are everybody's."""

    async def test_one_instance_gets_its_share_of_the_places(self, make_world: Make) -> None:
        world = await make_world(max_waiters=8)
        mine = [await world.open() for _ in range(4)]
        waiting = [asyncio.create_task(world.collect(login, wait=1)) for login in mine]
        others = await world.open(key=await world.enrol("other"))
        patient = asyncio.create_task(world.collect(others, wait=20))
        # Two had a place and waited; the rest were sent away at once, and told to stay away.
        paces = [answer.headers["retry-after"] for answer in await asyncio.gather(*waiting)]
        assert sorted(paces) == ["0", "0", "5", "5"]
        await world.press(await world.callback(others), code=others.pairing_code)
        assert (await patient).status_code == 200
        assert len(world.relay.bells) == 0

    async def test_a_login_has_one_waiter(self, world: World) -> None:
        login = await world.open()
        first = asyncio.create_task(world.collect(login, wait=20))
        await until(lambda: len(world.relay.bells) == 1)
        second = asyncio.create_task(world.collect(login, wait=20))
        answered, _ = await asyncio.wait(
            {first, second}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        assert answered == {first}
        assert first.result().status_code == 202
        await world.press(await world.callback(login), code=login.pairing_code)
        assert (await second).status_code == 200

    async def test_strangers_key_ids_cause_one_look_up_a_minute(self, world: World) -> None:
        looked = 0

        def load() -> Ring:
            nonlocal looked
            looked += 1
            return world.ring

        login = await world.open()
        world.keys._load = load
        foreign = World(world.settings.data, clock=world.clock)
        stray = [(await foreign.open(key=world.instance_key)).state for _ in range(5)]
        await foreign.close()
        for minute in (1, 2):
            for state in stray:
                assert (await world.callback(state)).status_code == 400
            assert looked == minute
            world.clock.pass_by(60)
        assert (await world.callback(login)).status_code == 200

    async def test_who_leaves_does_not_keep_the_place(self, world: World) -> None:
        login = await world.open()
        waiting = asyncio.create_task(world.collect(login, wait=20))
        await until(lambda: len(world.relay.bells) == 1)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert len(world.relay.bells) == 0


class TestGuessing:
    """RFC 9700 §4.13 and RFC 6819 §5.1.4.2: nothing is guessed, nor found out by trying."""

    async def test_ids_have_128_random_bits(self, world: World) -> None:
        ids = [(await world.open()).id for _ in range(50)]
        assert len(set(ids)) == 50
        for login_id in ids:
            assert re.fullmatch("[A-Za-z0-9_-]{22,}", login_id)
        # No part of them stands still: every character takes many values.
        for column in zip(*ids, strict=True):
            assert len(set(column)) > 10

    async def test_a_short_verifier_is_none(self, world: World) -> None:
        short = new_verifier()[:42]
        login = await world.open()
        assert (await world.collect(login, verifier=short)).status_code == 401

    async def test_what_is_not_yours_looks_as_if_it_were_not_there(self, world: World) -> None:
        live, over = await world.open(), (await world.released())[0]
        await world.finish(over)
        stranger = new_verifier()
        unknown = {"Authorization": f"Bearer {stranger}"}
        answers = [
            await world.collect(live, verifier=stranger),
            await world.collect(over),
            await world.collect(over, verifier=stranger),
            await world.at(HERE).get("/v1/logins/unknown/response", headers=unknown),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1
        assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
        before = await world.row(live)
        assert (await world.finish(live, verifier=stranger)).status_code == 204
        assert (await world.complete(live, WRONG, verifier=stranger)).status_code == 404
        assert await world.row(live) == before

    async def test_secrets_are_compared_in_constant_time(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: set[bytes] = set()
        real = hmac.compare_digest

        def watched(one: bytes, other: bytes) -> bool:
            compared.update((one, other))
            return real(one, other)

        monkeypatch.setattr(hmac, "compare_digest", watched)
        login = await world.open(confirmation="completion_code")
        code = code_on(await world.callback(login))
        held = await world.row(login)
        await world.callback(login)
        await world.complete(login, code)
        pairing = await world.open()
        page = await world.callback(pairing)
        await world.press(page, code=pairing.pairing_code)
        kept = (await world.row(pairing)).pairing_hash
        key_hash = (await world.store.list_instances())[0].key_hash
        for secret in (held.collect_challenge, held.fingerprint, kept, code, key_hash):
            assert secret
            assert secret.encode() in compared

    async def test_parallel_guesses_are_counted_before_they_are_compared(
        self, make_world: Make
    ) -> None:
        world = await make_world(around=Yielding)
        login = await world.open(confirmation="completion_code")
        right = code_on(await world.callback(login))
        wrong = [f"{n:04}-0000" for n in range(19)]
        answers = await asyncio.gather(*(world.complete(login, code) for code in [*wrong, right]))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [403] * 4 + [410] * 16
        tries_left = sorted(a.json()["tries_left"] for a in answers if a.status_code == 403)
        assert tries_left == [1, 2, 3, 4]
        row = await world.row(login)
        assert (row.status, row.tries, row.response) == (Status.CANCELLED, 5, None)

    async def test_parallel_pairing_codes_are_counted_before_they_are_compared(
        self, make_world: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = await make_world(around=Yielding, address_limit=20)
        login = await world.open()
        page = await world.callback(login)
        compared = 0
        real = proofs.pairing_code_fits

        def watched(keys: Keys, found: Login, typed: str) -> bool:
            nonlocal compared
            compared += 1
            return real(keys, found, typed)

        monkeypatch.setattr(proofs, "pairing_code_fits", watched)
        pressed = [world.press(page, code=f"{n:04}-0000") for n in range(90)]
        statuses = [answer.status_code for answer in await asyncio.gather(*pressed)]
        assert (statuses.count(422), statuses.count(429)) == (20, 70)
        assert compared == 20

    async def test_a_right_pairing_code_uses_no_try(self, make_world: Make) -> None:
        world = await make_world(address_limit=2)
        for _ in range(5):
            login = await world.open()
            page = await world.callback(login)
            for _again in range(2):  # pressed twice
                assert (await world.press(page, code=login.pairing_code)).status_code == 303

    async def test_five_wrong_codes_end_the_login(self, world: World) -> None:
        login = await world.open(confirmation="completion_code")
        right = code_on(await world.callback(login))
        for left in (4, 3, 2, 1):
            answer = await world.complete(login, WRONG)
            assert (answer.status_code, answer.json()["tries_left"]) == (403, left)
        for code in (WRONG, right):
            answer = await world.complete(login, code)
            assert answer.json()["type"].endswith("/problems/login-cancelled")

    async def test_wrong_pairing_codes_end_with_the_minutes_limit(self, make_world: Make) -> None:
        world = await make_world(address_limit=4)
        login = await world.open()
        page = await world.callback(login)
        before = await world.row(login)
        tried = [(await world.press(page, code=WRONG)).status_code for _ in range(6)]
        assert tried == [422] * 4 + [429] * 2
        assert (await world.press(page, code=login.pairing_code)).status_code == 429
        assert await world.row(login) == before
        world.clock.pass_by(60)
        assert (await world.press(page, code=login.pairing_code)).status_code == 303
