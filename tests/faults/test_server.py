"""The server dies, is stopped, forgets, is set back, is full: nothing lost, doubled or torn."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.book import Book
from tests.faults.conftest import Made
from tests.faults.world import opened

ROUNDS = 4


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
async def test_killed(policy: str, made: Made, folder: Path, book: Book, seed: int) -> None:
    """Kill -9 at any moment, and start again on what was written."""
    chance = random.Random(seed)
    server = made("--appendfsync", policy)
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for _ in range(ROUNDS):
            for _ in range(3):
                world.upstream.changes(chance)
                await asyncio.sleep(chance.uniform(0.01, 0.1))
            server.kill()
            server.start()
            await world.settled()
        verdict = await world.verdict()
    book.ran(f"kill -9 of the server, appendfsync {policy}", verdict, runs=ROUNDS, seed=seed)
