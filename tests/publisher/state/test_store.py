"""The store: a commit is atomic, and expects a position and types of keys."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
import redis.asyncio
import redis.exceptions

from publisher.core.event import Position
from publisher.errors import RaceLost, UnknownContract, WrongType
from publisher.polling.poll import Catalog, poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.raw_keys import check_consistent, dump_keys, read_keys
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide

KEYS = "catalog:{us}:"
SMALL = tree(("1", "0"), ("2", "1"), ("3", "1"))


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.3")
async def test_a_commit_expects_a_position(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A commit that expects no meta loses against an earlier one."""
    source.set_tree(SMALL)
    late = await _commit_of(catalog)
    await poll_once(catalog)
    before = await dump_keys(client)
    with pytest.raises(RaceLost, match="not nothing"):
        await catalog.store.commit(late)
    assert await dump_keys(client) == before


@pytest.mark.contract("5.1")
async def test_a_commit_expects_a_digest(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A restored server may reach the same epoch and sequence with another digest."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    source.set_tree(wide(4))
    late = await _commit_of(catalog)
    await client.hset(f"{KEYS}meta", "digest", "0123456789abcdef")
    before = await dump_keys(client)
    with pytest.raises(RaceLost, match=r"it is at [0-9a-f]{8}-3-0123456789abcdef, not"):
        await catalog.store.commit(late)
    assert await dump_keys(client) == before


@pytest.mark.contract("5.1")
async def test_a_commit_sent_twice_is_done_once(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A client that lost the reply sends it again; the script finds it in meta."""
    source.set_tree(SMALL)
    commit = await _commit_of(catalog)
    await catalog.store.commit(commit)
    before = await dump_keys(client)
    await catalog.store.commit(commit)
    assert await dump_keys(client) == before


async def _commit_of(catalog: Catalog) -> Any:
    """Return the commit that a poll would send now."""

    class Catching(Store):
        caught: Any = None

        async def commit(self, commit: Any) -> Position:
            self.caught = commit
            return Position("00000000", 0, 0)

    store = Catching(catalog.store._client, catalog.name)
    await poll_once(replace(catalog, store=store))
    return store.caught


@pytest.mark.contract("4")
async def test_a_row_may_have_unknown_fields(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The digest is computed from its four fields (contract, 4), so it is not damaged."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    more = await client.hget(f"{KEYS}categories", "2")
    assert more is not None
    await client.hset(f"{KEYS}categories", "2", orjson.dumps({**orjson.loads(more), "more": 1}))
    polled = await poll_once(catalog)
    assert (polled.outcome, polled.is_repaired) == ("unchanged", False)


@pytest.mark.contract("5.1")
@pytest.mark.contract("2")
@pytest.mark.parametrize("name", ["categories", "meta", "events", "hold"])
async def test_a_key_of_another_type_is_an_error(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, name: str
) -> None:
    """Before the first write; the message names the key and its type."""
    source.set_tree(SMALL)
    await client.lpush(f"{KEYS}{name}", "x")
    with pytest.raises(WrongType, match=rf"catalog:{{us}}:{name} holds a list"):
        await poll_once(catalog)
    assert set(await client.keys("catalog:*")) == {f"{KEYS}{name}".encode()}


@pytest.mark.contract("2")
async def test_another_contract_is_not_overwritten(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A newer publisher wrote the catalog."""
    source.set_tree(SMALL)
    await client.hset(f"{KEYS}meta", "contract", "2")
    with pytest.raises(UnknownContract, match="update it"):
        await poll_once(catalog)


@pytest.mark.contract("5.9")
async def test_the_stream_is_trimmed_by_count(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Exactly; the state is complete all the same."""
    short = replace(catalog, max_events=2)
    source.set_tree(wide(100))
    await poll_once(short)
    found = await read_keys(client)
    assert [int(event["sequence"]) for event in found.events] == [99, 100]
    check_consistent(found)


@pytest.mark.contract("5.9")
async def test_the_stream_is_trimmed_by_age(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Older entries go, by the server's clock."""
    await client.xadd(f"{KEYS}events", {"event": "{}"}, id="1000-0")
    source.set_tree(SMALL)
    await poll_once(catalog)
    assert len((await read_keys(client)).events) == 3


async def test_many_arguments_are_sent_once(
    real_client: redis.asyncio.Redis, source: ScriptedSource
) -> None:
    """The script is loaded before, so that the server certainly knows it."""
    await real_client.script_flush()
    await real_client.config_resetstat()
    source.set_tree(wide(4000))
    await poll_once(make_catalog(Store(real_client, "us"), source))
    stats: Any = await real_client.info("commandstats")
    assert (stats["cmdstat_evalsha"]["calls"], stats["cmdstat_evalsha"]["failed_calls"]) == (1, 0)


@pytest.mark.contract("5.1")
@pytest.mark.parametrize("command", ["xtrim", "time", "xadd", "hset", "hdel", "del"])
async def test_a_commit_that_is_not_permitted_writes_nothing(
    real_client: redis.asyncio.Redis, source: ScriptedSource, command: str
) -> None:
    """The script checks the user's permissions before its first write."""
    await real_client.acl_setuser(
        "narrow", enabled=True, nopass=True, keys=["*"], commands=["+@all", f"-{command}"]
    )
    try:
        await real_client.auth("x", "narrow")
        catalog = make_catalog(Store(real_client, "us"), source)
        source.set_tree(SMALL)
        with pytest.raises(redis.exceptions.ResponseError):
            await poll_once(catalog)
        assert await real_client.keys("catalog:*") == []
    finally:
        await real_client.aclose()
        await real_client.acl_deluser("narrow")


@pytest.mark.contract("5.1")
async def test_a_full_memory_writes_nothing(
    real_client: redis.asyncio.Redis, source: ScriptedSource
) -> None:
    """The server rejects the commit entirely."""
    catalog = make_catalog(Store(real_client, "us"), source)
    source.set_tree(SMALL)
    await poll_once(catalog)
    before = await dump_keys(real_client)
    source.set_tree(wide(50))
    await real_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis.exceptions.ResponseError, match="maxmemory"):
            await poll_once(catalog)
    finally:
        await real_client.config_set("maxmemory", "0")
    assert await dump_keys(real_client) == before
