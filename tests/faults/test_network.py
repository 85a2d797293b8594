"""Faults of the network between publisher, Redis, consumers and source."""

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.faults.network import (
    DUPLICATING,
    FOREVER,
    LINKS,
    TRANSIENT,
    Link,
    open_network,
    random_schedule,
)
from tests.faults.results_table import ResultsRecorder
from tests.support.proxy import STRIKES, Fault, Proxy, Strike
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

ROUNDS = 3
SCHEDULES = 4
TIME_OUT = 100.0
"""Seconds: a command of the publisher may take sixty until its connection counts as lost."""


class Repeated(NamedTuple):
    """A word in a request that has an effect, and words in the replies to its repeats."""

    request: bytes
    at_once: bytes
    late: bytes


REPEATED: Final[dict[Link, Repeated]] = {
    "publisher-Redis": Repeated(b"EVALSHA", at_once=b"committed", late=b"lost"),
    "consumer-Redis": Repeated(b"HSET", at_once=b":0", late=b":0"),
    "publisher-source": Repeated(b"GET", at_once=b"200 OK", late=b"200 OK"),
}
"""A repeated commit finds at once that it was executed, and later that it lost a race."""


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("fault", [fault for fault in TRANSIENT if fault not in DUPLICATING])
async def test_a_fault(
    fault: Fault, link: Link, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A fault on one link, for a while, several times."""
    async with open_network(folder, server, seed=seed) as (system, network):
        system.start(publishers=2)
        await system.settle()
        for _ in range(ROUNDS):
            network[link].suffer(fault)
            await system.change(6)
            network[link].recover()
            await system.settle()
        verdict = await system.verdict()
        assert network[link].hits > 0
    results.record(f"{link}: {fault}", verdict, runs=ROUNDS, seed=seed)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("fault", DUPLICATING)
async def test_duplicated(
    fault: Fault, link: Link, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A request that comes twice, at once or after other commits, has its effect once."""
    request, *replies = REPEATED[link]
    async with open_network(folder, server, seed=seed) as (system, network):
        system.start(publishers=2)
        await system.settle()
        proxy = network[link]
        for _ in range(ROUNDS):
            before = len(proxy.repeats)
            proxy.suffer(fault)
            await system.change(6)
            await eventually(partial(is_repeated, proxy, before, request))
            proxy.recover()
            await system.settle()
        await eventually(partial(have_come, proxy))
        await system.change(1)
        await system.settle()
        verdict = await system.verdict()
    results.record(f"{link}: {fault}", verdict, runs=ROUNDS, seed=seed)
    replies_to_repeats = [repeat.reply for repeat in proxy.repeats if request in repeat.request]
    assert any(
        replies[DUPLICATING.index(fault)] in (reply or b"") for reply in replies_to_repeats
    ), replies_to_repeats


async def is_repeated(proxy: Proxy, before: int, word: bytes) -> bool:
    """Return whether a request with `word` is repeated, after the first `before` ones."""
    return any(word in repeat.request for repeat in proxy.repeats[before:])


async def have_come(proxy: Proxy) -> bool:
    """Return whether all repeats have a reply."""
    return all(repeat.reply is not None for repeat in proxy.repeats)


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
    results: ResultsRecorder,
    seed: int,
) -> None:
    """A fault at one request: the sender does not know whether it was executed."""
    async with open_network(folder, server, seed=seed) as (system, network):
        system.start(publishers=2)
        await system.settle()
        for number in range(1, ROUNDS + 1):
            network[link].strike(word, strike)
            await system.change(1)
            await eventually(partial(is_hit, network[link], number))
            await system.change(1)
            await system.settle()
        verdict = await system.verdict()
        assert network[link].struck == ROUNDS
    results.record(f"{link}: {what}: {strike}", verdict, runs=ROUNDS, seed=seed)


async def is_hit(proxy: Proxy, times: int) -> bool:
    """Return whether so many requests were hit."""
    return proxy.struck >= times


@pytest.mark.parametrize("link", LINKS)
async def test_black_hole_for_ever(
    link: Link, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Data is lost without an error: only time-outs help."""
    async with open_network(folder, server, seed=seed) as (system, network):
        system.start(publishers=2)
        await system.settle()
        network[link].suffer(FOREVER)
        await system.change(6)
        network[link].recover()
        await system.settle(within=TIME_OUT)
        verdict = await system.verdict()
        assert network[link].hits > 0
    results.record(f"{link}: {FOREVER}", verdict, seed=seed)


@pytest.mark.parametrize("number", range(SCHEDULES))
async def test_schedule(
    number: int, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Twelve random faults on all links at once, while the tree changes.

    The tree is so large that the changes during the longest one do not cause a hold.
    """
    schedule = random_schedule(random.Random(seed + number))
    async with open_network(folder, server, seed=seed + number, categories=400) as (
        system,
        network,
    ):
        system.start(publishers=2)
        await system.settle()
        steps = [asyncio.create_task(step.inject(network)) for step in schedule]
        while not all(step.done() for step in steps):
            await system.change(1)
            await asyncio.sleep(0.15)
        for proxy in network.values():
            proxy.recover()
        await system.settle()
        verdict = await system.verdict()
    results.record("12 random faults on all links", verdict, seed=seed)
