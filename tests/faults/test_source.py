"""The source answers with anything but its tree: nothing of that gets through, ever."""

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import redis.exceptions

from tests.faults import answers, servers
from tests.faults.copies import MIRROR
from tests.faults.results_table import Book
from tests.faults.tokens import Tokens, shop_of
from tests.faults.upstream import Answer, another, row, without_leaves
from tests.faults.world import World, opened
from tests.support.contract import Tree
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

LIMITS = "max_body_bytes = 10000000\n"
MOST_MEMORY = answers.INFLATED // 2
"""Bytes that a publisher may need for any answer: its limit is a twentieth of the bomb."""
RENEWING = 3
"""Refusals after which another access token may help."""
MANY = 100_000
LOCK_SECONDS = 90.0
PATIENT = 90.0
"""Seconds; an answer that may pass is asked for again after 1, 2, 4 and 8 of them."""


@pytest.mark.parametrize("name", answers.GROUPS)
async def test_no_tree(name: str, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Each bad answer once; not one key changes but the status, and then the tree comes."""
    async with opened(folder, server, seed=seed, kinds=[MIRROR]) as world:
        world.settings = LIMITS
        world.start()
        await world.settled()
        bad = list(answers.GROUPS[name](world.upstream.tree, world.chance))
        await all_refused(world, bad)
        verdict = await world.verdict()
    book.ran(f"the source answers with {name}", verdict, runs=len(bad), seed=seed)


async def test_refusals_of_a_shop(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """What TikTok Shop means by each code is known: wait, ask again, refresh, or tell."""
    async with opened(folder, server, seed=seed, kinds=[MIRROR]) as world, shop_of(world) as tokens:
        world.start()
        await world.settled()
        bad = list(answers.refusals())
        await all_refused(world, bad)
        verdict = await world.verdict()
        assert (tokens.refreshed, tokens.refused) == (RENEWING, 0)
    book.ran(f"TikTok Shop answers with {answers.REFUSALS}", verdict, runs=len(bad), seed=seed)


async def all_refused(world: World, bad: list[Answer]) -> None:
    """Let the source give `bad` answers, once each, and then its next tree."""
    (publisher,) = world.publishers
    position, peak = world.checker.position, publisher.peak
    world.upstream.says(bad)
    await eventually(lambda: is_through(world), within=PATIENT)
    if world.checker.position != position:
        world.checker.found("unguarded", "a bad answer was accepted")
    assert publisher.peak - peak < MOST_MEMORY
    world.upstream.changes(world.chance)
    await world.settled()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("a tree without a branch", answers.without_branch),
        ("the tree of another locale", answers.translated),
        ("the tree of another version", answers.of_version_1),
    ],
)
async def test_held(
    name: str, other: partial[Tree], server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """A tree that looks whole and is not plausible is held, for as long as it comes."""
    async with opened(folder, server, seed=seed, kinds=[MIRROR], categories=400) as world:
        world.start()
        await world.settled()
        good, position = world.upstream.tree, world.checker.position
        world.upstream.becomes(other(good))
        await eventually(lambda: has_outcome(world, b"held"), within=PATIENT)
        if world.checker.position != position:
            world.checker.found("unguarded", f"{name}: it was accepted")
        world.upstream.becomes(another(good, world.chance))
        await world.settled()
        if asked(server, "EXISTS", "catalog:{us}:hold"):
            world.checker.found("diverged", "the hold is there, though a plausible poll came")
        verdict = await world.verdict()
    book.ran(f"the source answers with {name}", verdict, seed=seed)


@pytest.mark.parametrize(
    ("categories", "name", "most", "other"),
    [
        (150, "removals", 20, without_leaves),
        (400, "removals", 40, without_leaves),
        (150, "updates", 100, answers.renamed),
        (400, "updates", 200, answers.renamed),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
async def test_as_much_as_may_be(
    categories: int,
    name: str,
    most: int,
    other: Callable[[Tree, int], Tree],
    server: Valkey,
    folder: Path,
    book: Book,
    seed: int,
) -> None:
    """As many removals or updates as the guard lets through are accepted, one more is held.

    Of a small tree the number decides, of a large one the share.
    """
    async with opened(folder, server, seed=seed, kinds=(), categories=categories) as world:
        world.start()
        await world.settled()
        good = world.upstream.tree
        world.upstream.becomes(other(good, most + 1))
        await eventually(lambda: has_outcome(world, b"held"), within=PATIENT)
        world.upstream.becomes(other(good, most))
        await world.settled()
        verdict = await world.verdict()
    book.ran(f"the source answers with the most {name}, and one more", verdict, runs=2, seed=seed)


@pytest.mark.parametrize("plausible", ["plausible", "implausible"])
async def test_flapping(
    plausible: str, server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """Two upstream servers that disagree answer in turn, to two publishers."""
    async with opened(folder, server, seed=seed, kinds=[MIRROR], categories=400) as world:
        one = world.upstream.tree
        two = (
            another(one, world.chance) if plausible == "plausible" else answers.without_branch(one)
        )
        world.start(publishers=2)
        await world.settled()
        for _ in range(20):
            for tree in (two, one):
                world.upstream.becomes(tree)
                await asyncio.sleep(world.chance.uniform(0, 0.15))
        await world.settled()
        verdict = await world.verdict()
    book.ran(f"the source flaps between two trees, {plausible}", verdict, runs=20, seed=seed)


@pytest.mark.parametrize(
    ("fault", "rounds"),
    [
        ("TikTok Shop: the access token ends", 8),
        ("TikTok Shop: the access token ends, publisher killed amid that", 1),
    ],
)
async def test_access_tokens_end(
    fault: str, rounds: int, server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """Two publishers share the pair of tokens in Redis, and one of them refreshes it.

    One that is killed amid that leaves its lock, for 90 s at most (docs/shops.md).
    """
    async with opened(folder, server, seed=seed, kinds=[MIRROR]) as world, shop_of(world) as tokens:
        world.start(publishers=2)
        await world.settled()
        for _ in range(rounds):
            before = tokens.refreshed
            tokens.end()
            await world.changes(1)
            if "killed" in fault:
                await eventually(partial(has_refreshed, tokens, before), within=PATIENT)
                for publisher in world.publishers:
                    publisher.kill()
                world.start_publisher()
                tokens.end()
            await world.changes(1)
            await world.settled(within=PATIENT + LOCK_SECONDS)
            assert tokens.refreshed > before
            assert tokens.refused == 0
        verdict = await world.verdict()
    book.ran(fault, verdict, runs=rounds, seed=seed)


async def test_many_at_once(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """100,000 new categories at once; the publisher is killed about when it commits them."""
    async with opened(folder, server, seed=seed, watched=False) as world:
        world.start()
        await eventually(lambda: have_all(world), within=PATIENT)
        await world.checker.look()
        many = {str(number) for number in range(10**6, 10**6 + MANY)}
        new = (row(id_, str(world.chance.randint(1, 60)), f"New {id_}") for id_ in many)
        world.upstream.becomes(world.upstream.tree | {each["id"]: each for each in new})
        begin, asked_before = time.monotonic(), world.upstream.asked
        before = servers.position(server)
        await eventually(lambda: is_asked(world, asked_before + 1), within=PATIENT)
        await asyncio.sleep(world.chance.uniform(1.0, 4.0))
        world.publishers[0].kill()
        when = "before its commit" if servers.position(server) == before else "after its commit"
        world.start_publisher()
        await eventually(lambda: have_all(world), within=2 * PATIENT)
        world.longest = time.monotonic() - begin
        verdict = await world.verdict()
    book.ran(f"100,000 new categories at once, killed {when}", verdict, seed=seed)


async def have_all(world: World) -> bool:
    """Tell whether as many categories as the source has are in the state, and all consumers there.

    That costs little, unlike a look of the judge.
    """
    key = "catalog:{us}"
    try:
        count, sequence = asked(world.server, "HMGET", f"{key}:meta", "count", "sequence")
        values = asked(world.server, "HVALS", f"{key}:consumers")
    except redis.exceptions.TimeoutError:  # the server executes the commit
        return False
    if count != str(len(world.upstream.tree)).encode():
        return False
    shown = [json.loads(each) for each in values]
    return [each["sequence"] for each in shown] == [int(sequence)] * len(world.copies)


async def is_asked(world: World, times: int) -> bool:
    """Tell whether the source was asked so often."""
    return world.upstream.asked >= times


async def is_through(world: World) -> bool:
    """Tell whether all bad answers were given, and the last poll with one of them is over."""
    return not world.upstream.bad and await has_outcome(world, b"unchanged")


async def has_refreshed(tokens: Tokens, before: int) -> bool:
    """Tell whether the tokens were refreshed since."""
    return tokens.refreshed > before


async def has_outcome(world: World, outcome: bytes) -> bool:
    """Tell whether the last poll came to that."""
    return bool(asked(world.server, "HGET", "catalog:{us}:status", "outcome") == outcome)
