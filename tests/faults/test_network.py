"""The network between publisher, Redis, consumers and source does what networks do."""

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest

from tests.faults.book import Book
from tests.faults.network import FOREVER, LINKS, PASSING, Link, drawn, networked
from tests.faults.proxy import STRIKES, Fault, Proxy, Strike
from tests.valkey import Valkey
from tests.waiting import eventually

ROUNDS = 3
SCHEDULES = 4
TIME_OUT = 100.0
"""Seconds: a command of the publisher may take sixty before its connection counts as lost."""


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("fault", PASSING)
async def test_a_fault(
    fault: Fault, link: Link, server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """On one link, for a while, again and again."""
    async with networked(folder, server, seed=seed) as (world, network):
        world.start(publishers=2)
        await world.settled()
        for _ in range(ROUNDS):
            network[link].suffer(fault)
            await world.changes(6)
            network[link].recover()
            await world.settled()
        verdict = await world.verdict()
        assert network[link].hits > 0
    book.ran(f"{link}: {fault}", verdict, runs=ROUNDS, seed=seed)


@pytest.mark.parametrize(
    ("link", "word", "what"),
    [
        ("publisher-Redis", b"EVALSHA", "a commit"),
        ("consumer-Redis", b"XREAD", "a read of events"),
    ],
)
@pytest.mark.parametrize("strike", STRIKES)
async def test_a_strike(
    strike: Strike,
    link: Link,
    word: bytes,
    what: str,
    server: Valkey,
    folder: Path,
    book: Book,
    seed: int,
) -> None:
    """At the one request that matters: was it done, or not? Who sent it does not know."""
    async with networked(folder, server, seed=seed) as (world, network):
        world.start(publishers=2)
        await world.settled()
        for number in range(1, ROUNDS + 1):
            network[link].strike(word, strike)
            await world.changes(1)
            await eventually(partial(is_struck, network[link], number))
            await world.changes(1)
            await world.settled()
        verdict = await world.verdict()
        assert network[link].struck == ROUNDS
    book.ran(f"{link}: {what}: {strike}", verdict, runs=ROUNDS, seed=seed)


async def is_struck(proxy: Proxy, times: int) -> bool:
    """Tell whether so many requests suffered a strike."""
    return proxy.struck >= times


@pytest.mark.parametrize("link", LINKS)
async def test_for_ever(link: Link, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """What was on its way never comes, and nobody is told: only time-outs help."""
    async with networked(folder, server, seed=seed) as (world, network):
        world.start(publishers=2)
        await world.settled()
        network[link].suffer(FOREVER)
        await world.changes(6)
        network[link].recover()
        await world.settled(within=TIME_OUT)
        verdict = await world.verdict()
        assert network[link].hits > 0
    book.ran(f"{link}: {FOREVER}", verdict, seed=seed)


@pytest.mark.parametrize("number", range(SCHEDULES))
async def test_schedule(number: int, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Twelve faults at random on all links at once, while the tree goes on changing.

    It is so large that what changes in the longest of them is no reason for a hold.
    """
    schedule = drawn(random.Random(seed + number))
    async with networked(folder, server, seed=seed + number, categories=400) as (
        world,
        network,
    ):
        world.start(publishers=2)
        await world.settled()
        steps = [asyncio.create_task(step.take(network)) for step in schedule]
        while not all(step.done() for step in steps):
            await world.changes(1)
            await asyncio.sleep(0.15)
        for proxy in network.values():
            proxy.recover()
        await world.settled()
        verdict = await world.verdict()
    book.ran("12 random faults on all links", verdict, seed=seed + number)
