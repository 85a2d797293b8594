"""The source answers with anything but its tree: none of it reaches the state."""

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import redis.exceptions

from tests.faults import bad_answers, servers
from tests.faults.changing_source import Answer, changed_tree, row, without_leaves
from tests.faults.projection_checker import MIRROR
from tests.faults.results_table import ResultsRecorder
from tests.faults.shop_tokens import ShopTokens, open_shop
from tests.faults.system import System, open_system
from tests.support.contract import Tree
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

LIMITS = "max_body_bytes = 10000000\n"
MAX_MEMORY = bad_answers.BOMB_BYTES // 2
"""Bytes that a publisher may use for any answer: its limit is a twentieth of the bomb."""
REFRESHING = 3
"""Error codes after which a new access token may help."""
MANY_CATEGORIES = 100_000
LOCK_SECONDS = 90.0


@pytest.mark.parametrize("name", bad_answers.GROUPS)
async def test_no_tree(
    name: str, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """After each bad answer no key but the status has changed."""
    async with open_system(folder, server, seed=seed, kinds=[MIRROR]) as system:
        system.catalog_settings = LIMITS
        system.start()
        await system.settle()
        bad = list(bad_answers.GROUPS[name](system.source.tree, system.rng))
        await check_all_rejected(system, bad)
        verdict = await system.verdict()
    results.record(f"the source answers with {name}", verdict, runs=len(bad), seed=seed)


async def test_refusals_of_a_shop(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Each error code of TikTok Shop has its action: wait, retry, refresh or report."""
    async with (
        open_system(folder, server, seed=seed, kinds=[MIRROR]) as system,
        open_shop(system) as tokens,
    ):
        system.start()
        await system.settle()
        bad = list(bad_answers.error_codes())
        await check_all_rejected(system, bad)
        verdict = await system.verdict()
        assert (tokens.refreshed, tokens.refused) == (REFRESHING, 0)
    results.record(
        f"TikTok Shop answers with {bad_answers.ERROR_CODES}", verdict, runs=len(bad), seed=seed
    )


async def check_all_rejected(system: System, bad: list[Answer]) -> None:
    """Let the source give the answers `bad`, once each, and then its next tree."""
    (publisher,) = system.publishers
    position, peak = system.checker.position, publisher.peak
    system.source.answer_next(bad)
    await eventually(lambda: all_answered(system))
    if system.checker.position != position:
        system.checker.report("unguarded", "a bad answer was accepted")
    assert publisher.peak - peak < MAX_MEMORY
    system.source.change(system.rng)
    await system.settle()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("a tree without a branch", bad_answers.without_branch),
        ("the tree of another locale", bad_answers.translated),
        ("the tree of another version", bad_answers.with_three_levels),
    ],
)
async def test_held(
    name: str,
    other: partial[Tree],
    server: Valkey,
    folder: Path,
    results: ResultsRecorder,
    seed: int,
) -> None:
    """A tree that is valid but not plausible is held as long as the source gives it."""
    async with open_system(folder, server, seed=seed, kinds=[MIRROR], categories=400) as system:
        system.start()
        await system.settle()
        good, position = system.source.tree, system.checker.position
        system.source.serve_tree(other(good))
        await eventually(lambda: has_outcome(system, b"held"))
        if system.checker.position != position:
            system.checker.report("unguarded", f"{name}: it was accepted")
        system.source.serve_tree(changed_tree(good, system.rng))
        await system.settle()
        if execute_on(server, "EXISTS", "catalog:{us}:hold"):
            system.checker.report("diverged", "the hold is stored after a plausible poll")
        verdict = await system.verdict()
    results.record(f"the source answers with {name}", verdict, seed=seed)


@pytest.mark.parametrize(
    ("categories", "name", "most", "other"),
    [
        (150, "removals", 20, without_leaves),
        (400, "removals", 40, without_leaves),
        (150, "updates", 100, bad_answers.renamed),
        (400, "updates", 200, bad_answers.renamed),
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
    results: ResultsRecorder,
    seed: int,
) -> None:
    """As many removals or updates as the guard allows are accepted, one more is held.

    For a small tree the number decides, for a large one the share.
    """
    async with open_system(folder, server, seed=seed, kinds=(), categories=categories) as system:
        system.start()
        await system.settle()
        good = system.source.tree
        system.source.serve_tree(other(good, most + 1))
        await eventually(lambda: has_outcome(system, b"held"))
        system.source.serve_tree(other(good, most))
        await system.settle()
        verdict = await system.verdict()
    results.record(
        f"the source answers with the most {name}, and one more", verdict, runs=2, seed=seed
    )


@pytest.mark.parametrize("plausible", ["plausible", "implausible"])
async def test_flapping(
    plausible: str, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Two servers of the source that disagree answer in turn, to two publishers."""
    async with open_system(folder, server, seed=seed, kinds=[MIRROR], categories=400) as system:
        one = system.source.tree
        two = (
            changed_tree(one, system.rng)
            if plausible == "plausible"
            else bad_answers.without_branch(one)
        )
        system.start(publishers=2)
        await system.settle()
        for _ in range(20):
            for tree in (two, one):
                system.source.serve_tree(tree)
                await asyncio.sleep(system.rng.uniform(0, 0.15))
        await system.settle()
        verdict = await system.verdict()
    results.record(f"the source flaps between two trees, {plausible}", verdict, runs=20, seed=seed)


@pytest.mark.parametrize(
    ("fault", "rounds"),
    [
        ("TikTok Shop: the access token ends", 8),
        ("TikTok Shop: the access token ends, publisher killed amid that", 1),
    ],
)
async def test_access_tokens_end(
    fault: str, rounds: int, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Two publishers share the pair of tokens in Redis, and one of them refreshes it.

    One that is killed meanwhile leaves its lock, for 90 s at most (docs/shops.md).
    """
    async with (
        open_system(folder, server, seed=seed, kinds=[MIRROR]) as system,
        open_shop(system) as tokens,
    ):
        system.start(publishers=2)
        await system.settle()
        for _ in range(rounds):
            before = tokens.refreshed
            tokens.expire()
            await system.change(1)
            if "killed" in fault:
                await eventually(partial(has_refreshed, tokens, before))
                for publisher in system.publishers:
                    publisher.kill()
                system.start_publisher()
                tokens.expire()
            await system.change(1)
            await system.settle(within=PATIENCE + LOCK_SECONDS)
            assert tokens.refreshed > before
            assert tokens.refused == 0
        verdict = await system.verdict()
    results.record(fault, verdict, runs=rounds, seed=seed)


async def test_many_at_once(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """100,000 new categories at once; the publisher is killed near its commit."""
    async with open_system(folder, server, seed=seed, checking=False) as system:
        system.start()
        await eventually(lambda: all_have_count(system))
        await system.checker.check()
        many = {str(number) for number in range(10**6, 10**6 + MANY_CATEGORIES)}
        new = (row(id_, str(system.rng.randint(1, 60)), f"New {id_}") for id_ in many)
        system.source.serve_tree(system.source.tree | {each["id"]: each for each in new})
        begin, asked_before = time.monotonic(), system.source.requests
        before = servers.position(server)
        await eventually(lambda: is_requested(system, asked_before + 1))
        await asyncio.sleep(system.rng.uniform(1.0, 4.0))
        system.publishers[0].kill()
        when = "before its commit" if servers.position(server) == before else "after its commit"
        system.start_publisher()
        await eventually(lambda: all_have_count(system), within=2 * PATIENCE)
        system.longest_recovery = time.monotonic() - begin
        verdict = await system.verdict()
    results.record(f"100,000 new categories at once, killed {when}", verdict, seed=seed)


async def all_have_count(system: System) -> bool:
    """Return whether state and consumers have the source's number of categories.

    That costs little, unlike a check.
    """
    key = "catalog:{us}"
    try:
        count, sequence = execute_on(system.server, "HMGET", f"{key}:meta", "count", "sequence")
        values = execute_on(system.server, "HVALS", f"{key}:consumers")
    except redis.exceptions.TimeoutError:  # the server executes the commit
        return False
    if count != str(len(system.source.tree)).encode():
        return False
    shown = [json.loads(each) for each in values]
    return [each["sequence"] for each in shown] == [int(sequence)] * len(system.projections)


async def is_requested(system: System, times: int) -> bool:
    """Return whether the source got so many requests."""
    return system.source.requests >= times


async def all_answered(system: System) -> bool:
    """Return whether all bad answers were given, and the last poll with one is over."""
    return not system.source.next_answers and await has_outcome(system, b"unchanged")


async def has_refreshed(tokens: ShopTokens, before: int) -> bool:
    """Return whether the tokens were refreshed since."""
    return tokens.refreshed > before


async def has_outcome(system: System, outcome: bytes) -> bool:
    """Return whether the last poll had `outcome`."""
    return bool(execute_on(system.server, "HGET", "catalog:{us}:status", "outcome") == outcome)
