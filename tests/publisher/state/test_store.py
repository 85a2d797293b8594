"""The store: a commit is atomic, and expects a position and types of keys."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
import redis.asyncio
import redis.exceptions

from publisher.core.event import Position
from publisher.errors import RaceLost, UnknownContract, WrongType
from publisher.polling.poll import Catalog, poll_once
from publisher.state.commit import StoredPosition
from publisher.state.store import State, Store
from tests.support.catalogs import make_catalog
from tests.support.messages import whole
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
    with pytest.raises(
        RaceLost,
        match=whole(
            "catalog us: another publisher has committed meanwhile (it is at "
            "<any>-3-ff37937d746e31de, not nothing)"
        ),
    ):
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
    with pytest.raises(
        RaceLost,
        match=whole(
            "catalog us: another publisher has committed meanwhile (it is at "
            "<any>-3-0123456789abcdef, not <any>-3-ff37937d746e31de)"
        ),
    ):
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
    with pytest.raises(
        UnknownContract,
        match=whole(
            "catalog:{us}:meta has contract '2', but this publisher writes contract 1: update it"
        ),
    ):
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


@pytest.mark.contract("5.9")
async def test_the_age_of_trimmed_events(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Entries that are younger than the catalog's limit stay."""
    now, _ = await client.time()
    for days in (8, 6):
        await client.xadd(f"{KEYS}events", {"event": str(days)}, id=f"{now - days * 86400}000-0")
    source.set_tree(SMALL)
    await poll_once(replace(catalog, max_age=timedelta(days=7)))
    entries: Any = await client.xrange(f"{KEYS}events")
    assert (len(entries), entries[0][1]) == (4, {b"event": b"6"})


@pytest.mark.contract("2")
@pytest.mark.parametrize(
    ("key", "kind", "method"),
    [
        ("catalogs", "set", "register"),
        (f"{KEYS}meta", "hash", "read_position"),
        (f"{KEYS}meta", "hash", "load"),
        (f"{KEYS}categories", "hash", "load"),
        (f"{KEYS}hold", "string", "read_hold"),
    ],
)
async def test_each_reader_names_a_key_of_another_type(
    client: redis.asyncio.Redis, key: str, kind: str, method: str
) -> None:
    """The whole message says what is there, what belongs there, and what to do."""
    await client.lpush(key, "x")
    with pytest.raises(WrongType) as raised:
        await getattr(Store(client, "us"), method)()
    assert str(raised.value) == (
        f"Redis key {key} holds a list where the contract has a {kind}: something else writes "
        "there; rename or delete that key"
    )


@pytest.mark.parametrize("method", ["register", "read_position", "load", "read_hold"])
async def test_another_error_of_the_server_is_raised_as_it_is(
    real_client: redis.asyncio.Redis, method: str
) -> None:
    """Only a wrong type becomes a WrongType."""
    await real_client.acl_setuser("narrow", enabled=True, nopass=True, commands=["-@all", "+hello"])
    try:
        await real_client.auth("x", "narrow")
        with pytest.raises(redis.exceptions.NoPermissionError):
            await getattr(Store(real_client, "us"), method)()
    finally:
        await real_client.aclose()
        await real_client.acl_deluser("narrow")


async def test_what_belongs_together_is_one_transaction(real_client: redis.asyncio.Redis) -> None:
    """Rows and meta are read at one moment, and a status is written at one."""
    store = Store(real_client, "us")
    for work in (store.load(), store.write_status({"outcome": "failed"})):
        await real_client.config_resetstat()
        await work
        stats: Any = await real_client.info("commandstats")
        calls = {name: each["calls"] for name, each in stats.items()}
        assert (calls.get("cmdstat_multi"), calls.get("cmdstat_exec")) == (1, 1)


@pytest.mark.contract("2")
async def test_a_status_keeps_the_fields_that_are_not_given(client: redis.asyncio.Redis) -> None:
    """The time of the last success is empty until a poll gives it, and then kept."""
    store = Store(client, "us")
    statuses: list[Any] = []
    for fields in ({"outcome": "failed"}, {"succeeded_at": "then"}, {"outcome": "held"}):
        await store.write_status(fields)
        statuses.append(await client.hgetall(f"{KEYS}status"))
    assert statuses == [
        {b"outcome": b"failed", b"succeeded_at": b""},
        {b"outcome": b"failed", b"succeeded_at": b"then"},
        {b"outcome": b"held", b"succeeded_at": b"then"},
    ]


@pytest.mark.contract("5.2")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("", '{"id":"","parent_id":"1","local_name":"x","is_leaf":true}'),
        ("0", '{"id":"0","parent_id":"1","local_name":"x","is_leaf":true}'),
        ("3", '{"id":"2","parent_id":"1","local_name":"x","is_leaf":true}'),
        ("2", '{"id":"2","parent_id":"1","local_name":"x","is_leaf":true,"more":' + "[" * 100_000),
        ("2", b"\xff"),
        ("2", b'{"id":"2","parent_id":"1","local_name":"\xff","is_leaf":true}'),
        ("2", "[]"),
    ],
    ids=["empty id", "root", "other id", "deep", "no JSON", "no UTF-8", "no object"],
)
async def test_a_field_without_a_valid_row(
    client: redis.asyncio.Redis, field: str, value: str | bytes
) -> None:
    """It is in no tree, and enough for a damaged state, whatever meta says."""
    await client.hset(f"{KEYS}categories", field, value)
    state = await Store(client, "us").load()
    assert state == State(StoredPosition(b"", b"", b""), {}, [field.encode()], {}, None)
    assert state.is_damaged


async def test_few_arguments_need_one_command(
    real_client: redis.asyncio.Redis, source: ScriptedSource
) -> None:
    """A script that the server knows is not sent again."""
    catalog = make_catalog(Store(real_client, "us"), source)
    source.set_tree(SMALL)
    await poll_once(catalog)
    await real_client.config_resetstat()
    source.set_tree(wide(4))
    await poll_once(catalog)
    stats: Any = await real_client.info("commandstats")
    assert "cmdstat_script|load" not in stats
    assert stats["cmdstat_evalsha"]["calls"] == 1


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
        with pytest.raises(
            redis.exceptions.ResponseError,
            match=whole("command not allowed when used memory > 'maxmemory'."),
        ):
            await poll_once(catalog)
    finally:
        await real_client.config_set("maxmemory", "0")
    assert await dump_keys(real_client) == before
