"""What becomes of a code: who can read it, and that it is not lost."""

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO

import pytest
from opencode_relay.keys.file import KeyFile
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.login import Status
from opencode_relay.machine.housekeeping import Housekeeping

from tests.threats.canaries import logged, readable
from tests.threats.world import CODE, HERE, RETURN_URL, World, code_on

IDP_SAYS = "the-person-is-suspended"


@pytest.fixture
def log() -> Iterator[StringIO]:
    with logged() as text:
        yield text


class TestCodeReadableInTheStoreOrTheLogs:
    """Most peers keep the code, or write the callback's address into their logs."""

    async def test_no_file_no_page_and_no_log_shows_it(self, world: World, log: StringIO) -> None:
        pairing = await world.open()
        completion = await world.open(confirmation="completion_code")
        redirect = await world.open(delivery="redirect", return_url=RETURN_URL)
        refused = await world.open(idp_issuer="https://idp.example")
        failed = await world.open()
        page = await world.callback(pairing)
        held = await world.callback(completion)
        typed = code_on(held)
        pages = [
            page,
            held,
            await world.callback(redirect),
            await world.callback(refused),
            await world.callback(failed, error="access_denied", error_description=IDP_SAYS),
            await world.press(page, code="0000-0000"),
            await world.press(page, code=pairing.pairing_code),
        ]
        await world.complete(completion, "0000-0000")
        await world.complete(completion, typed)
        await world.collect(pairing)
        files = b"".join(file.read_bytes() for file in world.settings.data.iterdir())
        secrets = [CODE, IDP_SAYS, world.instance_key, typed]
        for login in (pairing, completion, redirect, refused, failed):
            secrets += [login.state, login.verifier, *filter(None, [login.pairing_code])]
        for secret in secrets:
            assert not readable(secret, files)
            assert not readable(secret, log.getvalue().encode())
        for shown in pages:
            assert not readable(CODE, shown.content)
            assert not readable(IDP_SAYS, shown.content)
        assert pairing.id in log.getvalue()

    async def test_the_pairing_code_is_not_kept_in_a_form_that_can_be_tried_out(
        self, world: World
    ) -> None:
        login = await world.open()
        page = await world.callback(login)
        # Under another key the same code has another hash: who reads the store alone tries in vain.
        other = Key.new(Purpose.PAIRING, 0).symmetric
        world.keys.ring = Ring(
            tuple(
                replace(key, symmetric=other) if key.purpose is Purpose.PAIRING else key
                for key in world.ring.keys
            )
        )
        assert (await world.press(page, code=login.pairing_code)).status_code == 422
        world.keys.ring = world.ring
        assert (await world.press(page, code=login.pairing_code)).status_code == 303

    async def test_what_is_over_is_erased_at_once(self, world: World) -> None:
        denied = await world.open()
        await world.press(await world.callback(denied), "deny")
        cancelled = await world.open(confirmation="completion_code")
        await world.callback(cancelled)
        await world.finish(cancelled)
        finished, _ = await world.released()
        await world.finish(finished)
        for login in (denied, cancelled, finished):
            row = await world.row(login)
            assert (row.response, row.fingerprint, row.pairing_hash) == (None, None, None)
            assert row.encryption_key is None


class TestErasedRowsInAWriteAheadLog:
    """Ours kept sealed responses and names there for as long as nothing else was written."""

    NAMES = ("canary-calls-itself", "canary-provider")

    async def test_what_was_finished_is_in_no_file_a_tick_later(self, world: World) -> None:
        chores = Housekeeping(world.relay, world.embedded, KeyFile(world.settings.data))
        chores.tick()
        login = await world.open(name=self.NAMES[0], provider=self.NAMES[1])
        page = await world.callback(login)
        await world.press(page, code=login.pairing_code)
        sealed = (await world.collect(login)).json()["response"]
        canaries = [*self.NAMES, HERE, *(sealed[n : n + 32] for n in range(0, len(sealed), 32))]
        before = self.everything(world)
        assert all(name in before for name in (*self.NAMES, HERE, sealed[:32]))
        await world.finish(login)
        chores.tick()
        after = self.everything(world)
        assert [canary for canary in canaries if canary in after] == []

    async def test_what_another_process_ended_is_in_no_file_a_tick_later(
        self, world: World
    ) -> None:
        chores = Housekeeping(world.relay, world.embedded, KeyFile(world.settings.data))
        login, sealed = await world.released()
        chores.tick()
        other = World(world.settings.data, ring=world.ring, clock=world.clock)
        instance = (await world.row(login)).instance_id
        assert await other.embedded.cancel_all(world.clock(), instance_id=instance)
        chores.tick()
        after = self.everything(world)
        assert [n for n in range(0, len(sealed), 32) if sealed[n : n + 32] in after] == []
        await other.close()

    def everything(self, world: World) -> str:
        files = world.settings.data.iterdir()
        return "".join(file.read_bytes().decode("latin-1") for file in files)


class TestCodeLostWithTheAnswer:
    """Most peers give the code out once: who loses that answer has lost the login."""

    async def test_the_same_answer_again_until_finish(self, world: World) -> None:
        login, sealed = await world.released()
        for wait in (0, 20, 0):
            again = await world.collect(login, wait=wait)
            assert again.json() == {"status": "released", "response": sealed}
        assert world.unsealed(login, sealed)["code"] == CODE
        assert (await world.finish(login)).status_code == 204
        assert (await world.collect(login)).status_code == 404

    async def test_a_release_at_the_last_moment_leaves_a_minute(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login)
        world.clock.pass_by(599)
        assert (await world.press(page, code=login.pairing_code)).status_code == 303
        world.clock.pass_by(59)
        collected = await world.collect(login)
        assert collected.status_code == 200
        assert world.unsealed(login, collected.json()["response"])["code"] == CODE
        world.clock.pass_by(2)
        assert (await world.collect(login)).status_code == 410

    async def test_another_process_gives_it_out_too(self, world: World) -> None:
        login, sealed = await world.released()
        other = World(world.settings.data, ring=world.ring, clock=world.clock)
        assert (await other.collect(login)).json()["response"] == sealed
        await other.close()

    async def test_a_button_pressed_twice_has_the_same_answer(self, world: World) -> None:
        login = await world.open()
        page = await world.callback(login)
        for _ in range(2):
            pressed = await world.press(page, code=login.pairing_code)
            assert pressed.headers["location"] == "/auth/done"
        assert (await world.row(login)).status is Status.RELEASED
