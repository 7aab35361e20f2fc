"""Fixtures of the threat tests: worlds that are closed after the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.threats.world import World

Make = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[Make]:
    """Build a world with settings of one's own."""
    worlds: list[World] = []

    async def make(**how: object) -> World:
        data = tmp_path / str(len(worlds))
        data.mkdir()
        worlds.append(World(data, **how))  # type: ignore[arg-type]
        await worlds[-1].start()
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
async def world(make_world: Make) -> World:
    return await make_world()
