"""The problems found in lost or trimmed keys, and what the next poll repairs."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio

from plumbing import clock
from publisher.polling.poll import Catalog, poll_once
from publisher.status.overview import read_overviews
from publisher.status.problems import find_problems
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import wide

ROWS, META, EVENTS = (f"catalog:{{us}}:{part}" for part in ("categories", "meta", "events"))
Damage = Callable[[redis.asyncio.Redis], Awaitable[Any]]


async def problem_texts(client: redis.asyncio.Redis) -> list[str]:
    """Return the problems of `us`, as a catalog that is not configured here."""
    (us,) = await read_overviews(client, ["us"])
    return [problem.text for problem in find_problems(us, clock.now(), is_configured=False)]


async def last_event(client: redis.asyncio.Redis) -> Any:
    """Return the offset of the last event."""
    found: Any = await client.xrevrange(EVENTS, count=1)
    return found[0][0]


async def test_no_problem_after_normal_operation(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """None after an import, changes, a short retention, a repair, a new origin."""
    for count in (3, 3, 5, 4):
        source.set_tree(wide(count))
        await poll_once(catalog)
        assert await problem_texts(client) == []
    source.set_tree(wide(9))
    await poll_once(replace(catalog, max_events=1))
    assert await problem_texts(client) == []
    await client.hdel(META, "digest")
    assert (await poll_once(catalog)).is_repaired
    assert await problem_texts(client) == []
    other = replace(catalog, origin=replace(catalog.origin, locale="x"))
    await poll_once(other, accept_origin=True)
    assert await problem_texts(client) == []


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda client: client.delete(ROWS), f"Redis key {ROWS} has 0 of 3 rows: "),
        (lambda client: client.hdel(ROWS, "2"), f"Redis key {ROWS} has 2 of 3 rows: "),
        (lambda client: client.hset(ROWS, "x", "y"), f"Redis key {ROWS} has 4 of 3 rows: "),
        (lambda client: client.hdel(META, "offset"), f"Redis key {META} is damaged: "),
        (lambda client: client.hset(META, "count", "many"), f"Redis key {META} is damaged: "),
        (lambda client: client.delete(ROWS, EVENTS, META), "its state is gone: "),
    ],
)
async def test_problems_that_the_next_poll_repairs(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, damage: Damage, text: str
) -> None:
    """The problem names the key until that poll, even if the source has not changed."""
    source.set_tree(wide(3))
    before = (await poll_once(catalog)).position
    await client.hset("catalog:{us}:status", "outcome", "changed")
    await damage(client)
    (problem,) = await problem_texts(client)
    assert problem.startswith(text)
    after = (await poll_once(catalog)).position
    assert before
    assert after
    assert after.epoch != before.epoch
    assert await problem_texts(client) == []


@pytest.mark.parametrize("how", ["deleted", "emptied", "cut"])
async def test_lost_events(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, how: str
) -> None:
    """The problem stays until the next change, since no poll writes old events again."""
    source.set_tree(wide(3))
    before = (await poll_once(catalog)).position
    match how:
        case "deleted":
            await client.delete(EVENTS)
        case "emptied":
            await client.xtrim(EVENTS, maxlen=0, approximate=False)
        case "cut":
            await client.xdel(EVENTS, await last_event(client))
    await poll_once(catalog)
    (problem,) = await problem_texts(client)
    assert problem.startswith(f"Redis key {EVENTS} has lost its last event: ")
    source.set_tree(wide(4))
    after = (await poll_once(catalog)).position
    assert before
    assert after
    assert (after.epoch, after.sequence) == (before.epoch, 4)
    assert await problem_texts(client) == []


async def test_rows_and_events_are_both_lost(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Each is a problem."""
    source.set_tree(wide(3))
    await poll_once(catalog)
    await client.delete(ROWS, EVENTS)
    assert len(await problem_texts(client)) == 2


async def test_events_that_a_later_commit_trimmed(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A commit of a new origin writes no event and may trim others: none is lost."""
    source.set_tree(wide(3))
    await poll_once(catalog)
    await client.xtrim(EVENTS, maxlen=0, approximate=False)
    later = clock.rfc3339(clock.now() + timedelta(hours=1))
    await client.hset(META, "committed_at", later)
    assert await problem_texts(client) == []


async def test_a_commit_between_two_reads(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A `meta` from before the commit and rows from after it are no problem."""
    source.set_tree(wide(3))
    await poll_once(catalog)
    (before,) = await read_overviews(client, ["us"])
    source.set_tree(wide(4))
    await poll_once(catalog)
    (after,) = await read_overviews(client, ["us"])
    for mixed in (
        replace(after, meta=before.meta),
        replace(after, meta=before.meta, rows=before.rows),
    ):
        assert find_problems(mixed, clock.now(), is_configured=False) == []
