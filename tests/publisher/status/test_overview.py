"""Catalogs are read from Redis, also when somebody has written nonsense there."""

import json

import pytest
import redis.asyncio

from plumbing import clock
from plumbing.errors import RedisError
from publisher.polling.poll import Catalog, poll_once
from publisher.status.overview import Lag, read_catalog_names, read_overviews
from publisher.status.problems import find_problems
from tests.support.messages import whole
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import wide

HOSTILE_FIELDS = [
    {"offset": "99999999999999999999999-1"},
    {"offset": "99999999999999999999-1"},
    {"offset": "9223372036854775807-18446744073709551615"},
    {"offset": "\u0661-\u0661"},
    {"offset": "1-1 COUNT"},
    {"offset": ["1-1"]},
    {"offset": None},
    {"sequence": -1e300},
    {"sequence": 1e300},
    {"sequence": -5},
    {"sequence": 10**40},
    {"sequence": "1"},
    {"sequence": True},
    {"epoch": ["x"]},
]


@pytest.mark.parametrize("hostile", [*HOSTILE_FIELDS, [1], "x", None, "x" * 1_000_000])
async def test_a_hostile_checkpoint_hides_nothing_else(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, hostile: object
) -> None:
    """A consumer may write only its own checkpoint, so it can spoil only its own lag."""
    source.set_tree(wide(3))
    position = (await poll_once(catalog)).position
    assert position is not None
    sane = {"epoch": position.epoch, "sequence": 1, "offset": "1-1", "digest": "0"}
    value = {**sane, **hostile} if isinstance(hostile, dict) else hostile
    await client.hset("catalog:{us}:consumers", "evil", json.dumps(value))
    await client.hset("catalog:{us}:consumers", "sane", json.dumps(sane))
    us, other = await read_overviews(client, ["us", "other"])
    assert us.lags["sane"].events == 2
    assert us.lags["evil"].events in {None, 2}
    assert other.lags == {}
    assert find_problems(us, clock.now(), is_configured=False) == []


async def test_a_consumer_in_sync(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A consumer at the state's sequence has no lag."""
    source.set_tree(wide(3))
    position = (await poll_once(catalog)).position
    assert position is not None
    checkpoint = {"epoch": position.epoch, "sequence": 3, "offset": "1-1"}
    await client.hset("catalog:{us}:consumers", "mirror", json.dumps(checkpoint))
    (us,) = await read_overviews(client, ["us"])
    assert us.lags == {"mirror": Lag(0, 0.0)}


async def test_a_consumer_in_another_epoch_without_any_event(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """After minutes it is a problem; without events the last commit's time counts."""
    source.set_tree(wide(3))
    await poll_once(catalog)
    await client.delete("catalog:{us}:events")
    await client.hset("catalog:{us}:meta", "committed_at", "2026-01-01T00:00:00.000Z")
    checkpoint = {"epoch": "00000000", "sequence": 3, "offset": "1-1"}
    await client.hset("catalog:{us}:consumers", "mirror", json.dumps(checkpoint))
    (us,) = await read_overviews(client, ["us"])
    *_, problem = find_problems(us, clock.now(), is_configured=False)
    assert problem.text.startswith("consumer mirror has been in another epoch for ")


async def test_keys_of_another_type(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """One problem names all of them, and the other keys are read."""
    source.set_tree(wide(3))
    await poll_once(catalog)
    for part in ("meta", "events"):
        await client.delete(f"catalog:{{us}}:{part}")
        await client.set(f"catalog:{{us}}:{part}", "x")
    us, other = await read_overviews(client, ["us", "other"])
    (problem,) = find_problems(us, clock.now())
    assert problem.text == (
        "the catalog cannot be read: Redis key catalog:{us}:meta is not a hash, "
        "catalog:{us}:events is not a stream: something else writes there; rename or delete that key"
    )
    assert us.rows == 3
    assert other.error == ""


async def test_the_set_of_catalogs_has_another_type(client: redis.asyncio.Redis) -> None:
    """The error names the key."""
    await client.set("catalogs", "x")
    with pytest.raises(
        RedisError,
        match=whole(
            "Redis key catalogs is not a set: something else writes there; rename or delete that key"
        ),
    ):
        await read_catalog_names(client)
