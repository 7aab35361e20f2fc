"""Who waits costs little, is woken, and costs nothing after leaving: over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from opencode_relay.login import Confirmation, Delivery, Login, Status, release

from tests.threats.world import (
    HERE,
    Opened,
    World,
    bearer,
    challenge_of,
    listening,
    loopback,
    new_verifier,
    until,
)

SOMEBODYS_KEY = ECKey.generate_key("P-256")
LEAVE = 1000
WAIT = 5000
LONG = 600  # seconds: on a busy machine the last has come before the first is let go
SPARE = 200  # descriptors for everything else
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Raise the soft limit of open files: both ends of each socket are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * WAIT + SPARE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are needed, and {hard} is the hard limit here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def relay_on_loopback(data: Path, **settings: Any) -> AsyncIterator[tuple[World, int]]:
    listener, origin = loopback()
    world = World(data, public_url=origin, open_limit=0, **settings)
    await world.start()
    async with listening(world.app, listener):
        yield world, listener.getsockname()[1]
    await world.close()


async def wait_for(port: int, login: Opened) -> Connection:
    """Begin to wait, as an instance does, and leave the answer for later."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    header = bearer(login.verifier)["Authorization"]
    path = f"/v1/logins/{login.id}/response?wait={LONG}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: relay\r\nAuthorization: {header}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def answer(reader: asyncio.StreamReader) -> dict[str, str]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split()[0])
    found: dict[str, str] = json.loads(await reader.readexactly(size))
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted, not walked


@pytest.mark.usefixtures("descriptors")
async def test_after_a_thousand_abrupt_goodbyes_all_is_as_before(tmp_path: Path) -> None:
    async with relay_on_loopback(tmp_path, max_wait=25) as (world, port):
        logins = [await world.open() for _ in range(50)]
        others = [await world.open() for _ in range(50)]
        # One round first, so that what is made once is there.
        for begun in (await wait_for(port, logins[0]), await wait_for(port, others[0])):
            begun[1].transport.abort()
        await until(lambda: not len(world.relay.bells))
        await until(lambda: len(asyncio.all_tasks()) <= 3)
        tasks, files = len(asyncio.all_tasks()), open_files()
        for _ in range(LEAVE // len(logins)):
            waiting = [await wait_for(port, login) for login in logins]
            await until(lambda: len(world.relay.bells) == len(logins))
            assert len(asyncio.all_tasks()) > tasks
            for _, writer in waiting:
                writer.transport.abort()
            await until(lambda: not len(world.relay.bells))
        await until(lambda: len(asyncio.all_tasks()) <= tasks and open_files() <= files)
        bells = world.relay.bells
        assert (bells._bells, bells._owners, bells._waiting) == ({}, {}, 0)


async def opened_by(world: World, instance_id: str) -> Opened:
    """Put a login of an instance's into the store, which is quicker than to ask for it."""
    verifier, now = new_verifier(), world.clock()
    login = Login(
        id=instance_id,
        status=Status.PENDING,
        delivery=Delivery.POLL,
        confirmation=Confirmation.PAIRING_CODE,
        collect_challenge=challenge_of(verifier),
        encryption_key=None,
        opened_at=now,
        opened_from=HERE,
        expires_at=now + 600,
        instance_id=instance_id,
    )
    await world.store.create(login)
    return Opened(login.id, "", "pairing_code", "", verifier, SOMEBODYS_KEY)


@pytest.mark.usefixtures("descriptors")
async def test_five_thousand_instances_wait_and_are_woken(tmp_path: Path) -> None:
    async with relay_on_loopback(tmp_path, max_wait=LONG) as (world, port):
        logins = [await opened_by(world, f"an-instance-number-{n:05}") for n in range(WAIT)]
        waiting = [await wait_for(port, login) for login in logins]
        await until(lambda: len(world.relay.bells) == WAIT)
        answers = [asyncio.create_task(answer(reader)) for reader, _ in waiting]
        for login in logins:
            found = await world.row(login)
            change = release(found, world.clock(), response=f"sealed for {login.id}")
            assert await world.relay._move(found, change, "person")
        for login, answered in zip(logins, await asyncio.gather(*answers), strict=True):
            assert answered == {"status": "released", "response": f"sealed for {login.id}"}
        assert len(world.relay.bells) == 0
        for _, writer in waiting:
            writer.close()
