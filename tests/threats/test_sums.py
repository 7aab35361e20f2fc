"""What many callers, or one with many addresses, can do to the store."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from opencode_relay.admission import HELD_EACH, end_all
from opencode_relay.errors import StoreUnavailable

from tests.threats.conftest import Make
from tests.threats.stores import Asked, Yielding
from tests.threats.world import WRONG, World

NO_IDS = ("x" * 2043, "a" * 21, "a" * 65, "login%23" + "a" * 30, "a" * 23 + "é", "%00" * 24)


async def unusable(*_: object) -> None:
    raise StoreUnavailable("out of reach")


async def ask(world: World, address: str = "203.0.113.9") -> httpx.Response:
    """Ask for a login without a key."""
    return await world.ask_to_open(key="", name="n", address=address)


class TestOpenEnrolmentWithoutABoundOnTheSum:
    """Our own relay: one client with a /48 stored 6,525 held logins in half a minute."""

    async def test_the_networks_of_one_site_share_a_limit(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=2)
        site = [f"2001:db8:1:{n:x}::1" for n in range(20)]
        statuses = [(await ask(world, address)).status_code for address in site]
        assert statuses == [201] * 8 + [429] * 12
        assert (await ask(world, "2001:db8:2::1")).status_code == 201

    async def test_so_do_those_of_one_ipv4_address(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=2)
        clothes = ["203.0.113.7", "2002:cb00:7107:1::1", "64:ff9b::cb00:7107"]
        statuses = [(await ask(world, address)).status_code for address in clothes]
        assert statuses == [201, 201, 429]

    async def test_a_network_of_its_own_does_not_bind_all_of_ipv4_together(
        self, make_world: Make
    ) -> None:
        world = await make_world(enrolment="open", address_limit=1)
        others = [f"64:ff9b:1:fffe::{n:x}:7107" for n in (0xCB00, 0xCB01, 0xCB01)]
        statuses = [(await ask(world, address)).status_code for address in others]
        assert statuses == [201, 201, 429]

    async def test_one_network_does_not_use_up_the_sites_limit(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=2)
        for _ in range(20):
            await ask(world, "2001:db8:1:1::1")
        assert (await ask(world, "2001:db8:1:2::1")).status_code == 201

    async def test_refused_keys_are_counted_alike(self, make_world: Make) -> None:
        world = await make_world(address_limit=1)
        site = [f"2001:db8:1:{n:x}::1" for n in range(6)]
        guesses = [await world.ask_to_open(key="ocr_guess", address=address) for address in site]
        assert [guess.status_code for guess in guesses] == [401] * 4 + [429] * 2

    async def test_they_hold_so_many_open_and_no_more(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=0, unenrolled_logins=3)
        first, *_ = [await world.open(key="", name="n") for _ in range(3)]
        refused = await ask(world)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert (await world.ask_to_open()).status_code == 201  # an enrolled one has its own limit
        await world.callback(first)
        assert (await ask(world)).status_code == 429  # a held one is open too
        await world.finish(first)
        assert (await ask(world)).status_code == 201
        await world.finish(first)  # counted out once
        assert (await ask(world)).status_code == 429
        world.clock.pass_by(world.settings.login_lifetime + 60)
        assert (await ask(world)).status_code == 201

    async def test_what_an_operator_ends_leaves_its_place(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", unenrolled_logins=3)
        for address in ("203.0.113.1", "203.0.113.2", "2001:db8::1"):
            assert (await ask(world, address)).status_code == 201
        assert (await ask(world)).status_code == 429
        assert await end_all(world.store, world.clock()) == 3
        for address in ("203.0.113.1", "203.0.113.2", "2001:db8::1"):
            assert (await ask(world, address)).status_code == 201
        assert (await ask(world)).status_code == 429

    async def test_one_site_holds_its_share_and_leaves_the_rest(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=1000)
        site = (f"2001:db8:1:{n:x}::1" for n in range(60))
        statuses = [(await ask(world, address)).status_code for address in site]
        assert statuses == [201] * HELD_EACH + [429] * (60 - HELD_EACH)
        refused = await ask(world, "2001:db8:1:ffff::1")
        assert "hold too many logins open" in refused.json()["detail"]
        assert (await ask(world, "2001:db8:2::1")).status_code == 201

    async def test_a_login_that_was_not_stored_holds_no_place(self, make_world: Make) -> None:
        world = await make_world(enrolment="open", address_limit=0, unenrolled_logins=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.store, "create", unusable)
            assert (await ask(world)).status_code == 503
        assert (await ask(world)).status_code == 201

    async def test_a_place_that_cannot_be_given_back_is_told(
        self, make_world: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = await make_world(enrolment="open")
        login = await world.open(key="", name="n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.store, "take_back", unusable)
            assert (await world.finish(login)).status_code == 204
        assert "place_not_freed" in caplog.messages

    async def test_nor_do_those_who_come_at_once(self, make_world: Make) -> None:
        limits = {"address_limit": 0, "unenrolled_logins": 3}
        world = await make_world(enrolment="open", around=Yielding, **limits)
        answers = await asyncio.gather(*(ask(world) for _ in range(10)))
        assert sum(answer.status_code == 201 for answer in answers) <= 3


class TestAStrangerCausesErrorsOfTheStore:
    """Our own DynamoDB store: an id of 2 kB was a key too long, a 503 and an alarm."""

    async def test_what_is_no_id_is_not_asked_for(self, make_world: Make) -> None:
        asked: set[str] = set()
        world = await make_world(around=lambda store: Asked(store, asked))
        login = await world.open()
        for no_id in NO_IDS:
            fake = replace(login, id=no_id)
            assert (await world.collect(fake)).status_code == 404
            assert (await world.complete(fake, WRONG)).status_code == 404
            assert (await world.finish(fake)).status_code == 404
        assert asked == set()
