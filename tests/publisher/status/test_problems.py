"""What `status` tells of keys that were lost or cut, and what the next poll makes of that."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio

from plumbing import clock
from publisher.polling.poll import Catalog, poll_once
from publisher.status.overview import read_overviews
from publisher.status.problems import problems
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import wide

ROWS, META, EVENTS = (f"catalog:{{us}}:{part}" for part in ("categories", "meta", "events"))
Harm = Callable[[redis.asyncio.Redis], Awaitable[Any]]


async def told(client: redis.asyncio.Redis) -> list[str]:
    """Return what is not fine about `us`, which nobody has to poll."""
    (us,) = await read_overviews(client, ["us"])
    return [problem.what for problem in problems(us, clock.now(), kept=False)]


async def last_event(client: redis.asyncio.Redis) -> Any:
    """Return the id of the stream's last entry."""
    found: Any = await client.xrevrange(EVENTS, count=1)
    return found[0][0]


async def test_what_a_publisher_leaves_is_whole(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """After a first import, changes, a short retention, a repair and a new origin."""
    for count in (3, 3, 5, 4):
        source.says(wide(count))
        await poll_once(catalog)
        assert await told(client) == []
    source.says(wide(9))
    await poll_once(replace(catalog, max_events=1))
    assert await told(client) == []
    await client.hdel(META, "digest")
    assert (await poll_once(catalog)).repaired
    assert await told(client) == []
    other = replace(catalog, origin=replace(catalog.origin, locale="x"))
    await poll_once(other, accept_origin=True)
    assert await told(client) == []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda client: client.delete(ROWS), f"Redis key {ROWS} has 0 of 3 rows: "),
        (lambda client: client.hdel(ROWS, "2"), f"Redis key {ROWS} has 2 of 3 rows: "),
        (lambda client: client.hset(ROWS, "x", "y"), f"Redis key {ROWS} has 4 of 3 rows: "),
        (lambda client: client.hdel(META, "offset"), f"Redis key {META} is damaged: "),
        (lambda client: client.hset(META, "count", "many"), f"Redis key {META} is damaged: "),
        (lambda client: client.delete(ROWS, EVENTS, META), "its state is gone: "),
    ],
)
async def test_what_the_next_poll_repairs(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, harm: Harm, words: str
) -> None:
    """It names the key until that poll, though nothing has changed in the source."""
    source.says(wide(3))
    before = (await poll_once(catalog)).position
    await client.hset("catalog:{us}:status", "outcome", "changed")
    await harm(client)
    (problem,) = await told(client)
    assert problem.startswith(words)
    after = (await poll_once(catalog)).position
    assert before
    assert after
    assert after.epoch != before.epoch
    assert await told(client) == []


@pytest.mark.parametrize("how", ["deleted", "emptied", "cut"])
async def test_lost_events(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, how: str
) -> None:
    """They are told until the next change, since no poll writes old events again."""
    source.says(wide(3))
    before = (await poll_once(catalog)).position
    match how:
        case "deleted":
            await client.delete(EVENTS)
        case "emptied":
            await client.xtrim(EVENTS, maxlen=0, approximate=False)
        case "cut":
            await client.xdel(EVENTS, await last_event(client))
    await poll_once(catalog)
    (problem,) = await told(client)
    assert problem.startswith(f"Redis key {EVENTS} has lost its last event: ")
    source.says(wide(4))
    after = (await poll_once(catalog)).position
    assert before
    assert after
    assert (after.epoch, after.sequence) == (before.epoch, 4)
    assert await told(client) == []


async def test_both_rows_and_events_are_gone(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Both are told."""
    source.says(wide(3))
    await poll_once(catalog)
    await client.delete(ROWS, EVENTS)
    assert len(await told(client)) == 2


async def test_events_that_a_later_commit_trimmed(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A new origin alone writes no event, and may find the others too old: nothing is lost."""
    source.says(wide(3))
    await poll_once(catalog)
    await client.xtrim(EVENTS, maxlen=0, approximate=False)
    later = clock.rfc3339(clock.now() + timedelta(hours=1))
    await client.hset(META, "committed_at", later)
    assert await told(client) == []


async def test_a_commit_between_two_questions(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A `meta` from before it does not fit what was read after it, and that is no problem."""
    source.says(wide(3))
    await poll_once(catalog)
    (before,) = await read_overviews(client, ["us"])
    source.says(wide(4))
    await poll_once(catalog)
    (after,) = await read_overviews(client, ["us"])
    mixed = {**after, "meta": before["meta"]}
    assert problems(mixed, clock.now(), kept=False) == []
    assert problems({**mixed, "rows": before["rows"]}, clock.now(), kept=False) == []
