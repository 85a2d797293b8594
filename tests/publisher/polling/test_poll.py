"""One poll against a store: what is written, and what is not (contract, 5 and 6)."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
import redis.asyncio
import redis.exceptions

from publisher.core.event import Position
from publisher.core.model import Hold
from publisher.errors import (
    BadSnapshot,
    Held,
    NoHold,
    OriginChanged,
    RaceLost,
    UnknownContract,
    WrongType,
)
from publisher.polling.poll import Catalog, approve, compare, poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.contract import digest_of
from tests.support.raw_keys import check_consistent, read_keys, replay
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide

KEYS = "catalog:{us}:"
SMALL = tree(("1", "0"), ("2", "1"), ("3", "1"))


async def dump(client: redis.asyncio.Redis) -> dict[bytes, Any]:
    """Return state, stream, meta and hold as they are."""
    return {
        b"categories": await client.hgetall(f"{KEYS}categories"),
        b"meta": await client.hgetall(f"{KEYS}meta"),
        b"events": await client.xrange(f"{KEYS}events"),
        b"hold": await client.get(f"{KEYS}hold"),
    }


async def test_first_import(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """All categories are added, from sequence 1, in one new epoch."""
    source.says(SMALL)
    polled = await poll_once(catalog)
    found = await read_keys(client)
    check_consistent(found)
    assert polled.outcome == "changed"
    assert replay({}, found.events) == found.rows
    assert [int(event["sequence"]) for event in found.events] == [1, 2, 3]
    assert await client.smembers("catalogs") == {b"us"}
    row = await client.hget(f"{KEYS}categories", "2")
    assert row == b'{"id":"2","parent_id":"1","local_name":"name 2","is_leaf":false}'
    assert orjson.loads(found.meta["origin"]) == catalog.origin.to_dict()


async def test_next_commits_go_on_in_the_epoch(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """State before plus a commit's events is the state after."""
    source.says(SMALL)
    await poll_once(catalog)
    before = await read_keys(client)
    source.says(tree(("3", "0"), ("1", "3", "moved", False), ("4", "1")))
    await poll_once(catalog)
    after = await read_keys(client)
    check_consistent(after)
    assert after.meta["epoch"] == before.meta["epoch"]
    new = after.events[len(before.events) :]
    assert replay(before.rows, new) == after.rows
    assert {event["time"] for event in new} == {after.meta["committed_at"]}


async def test_nothing_changed_nothing_written(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Rows in another order are no change."""
    source.says(SMALL)
    await poll_once(catalog)
    before = await dump(client)
    source.says(reversed(SMALL.values()))
    polled = await poll_once(catalog)
    assert polled.outcome == "unchanged"
    assert await dump(client) == before


async def test_a_refused_snapshot_writes_nothing(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """State, stream and meta stay as they are."""
    source.says(SMALL)
    await poll_once(catalog)
    before = await dump(client)
    source.says(tree(("2", "1"), ("3", "1")))
    with pytest.raises(BadSnapshot, match="branch is missing"):
        await poll_once(catalog)
    assert await dump(client) == before


async def test_a_snapshot_is_thrown_away_if_somebody_committed_meanwhile(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The position was noted before the question, so an old answer cannot undo a new one."""
    source.says(SMALL)
    await poll_once(catalog)
    newer = ScriptedSource()
    newer.says(tree(("1", "0", "renamed", False), ("2", "1"), ("3", "1")))
    source.meanwhile = lambda: poll_once(replace(catalog, source=newer))
    with pytest.raises(RaceLost):
        await poll_once(catalog)
    assert (await read_keys(client)).rows["1"]["local_name"] == "renamed"


async def test_the_commit_itself_checks_the_position(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A commit that expects "no meta yet" loses to one that came before."""
    source.says(SMALL)
    late = await _commit_of(catalog)
    await poll_once(catalog)
    before = await dump(client)
    with pytest.raises(RaceLost, match="not nothing"):
        await catalog.store.commit(late)
    assert await dump(client) == before


async def test_a_commit_is_not_for_another_history(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A server that was set back comes to the same epoch and sequence with another digest."""
    source.says(SMALL)
    await poll_once(catalog)
    source.says(wide(4))
    late = await _commit_of(catalog)
    await client.hset(f"{KEYS}meta", "digest", "0123456789abcdef")
    before = await dump(client)
    with pytest.raises(RaceLost, match=r"it is at [0-9a-f]{8}-3-0123456789abcdef, not"):
        await catalog.store.commit(late)
    assert await dump(client) == before


async def test_a_commit_sent_twice_is_done_once(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Whoever lost the reply may ask again: the commit finds itself."""
    source.says(SMALL)
    commit = await _commit_of(catalog)
    await catalog.store.commit(commit)
    before = await dump(client)
    await catalog.store.commit(commit)
    assert await dump(client) == before


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


@pytest.mark.parametrize(
    "damage",
    [
        ("hset", "categories", "2", '{"id":"2","parent_id":"0","local_name":"x","is_leaf":true}'),
        ("hset", "categories", "2", "no JSON"),
        ("hset", "categories", "2", '{"id":"3","parent_id":"1","local_name":"x","is_leaf":true}'),
        ("hset", "categories", "2", '{"id":"2","parent_id":"1","local_name":"x"}'),
        ("hset", "categories", b"\xff\x00", b"\xff"),
        ("hset", "categories", "0", '{"id":"0","parent_id":"0","local_name":"x","is_leaf":false}'),
        ("hdel", "categories", "2"),
        ("delete", "categories"),
        ("delete", "meta"),
        ("hset", "meta", "digest", "0000000000000000"),
        ("hset", "meta", "digest", "rubbish"),
        ("hset", "meta", "count", "7"),
        ("hset", "meta", "sequence", "-1"),
        ("hset", "meta", "sequence", "9" * 5000),
        ("hset", "meta", "sequence", "9" * 20),
        ("hset", "meta", "count", "9" * 5000),
        ("hset", "meta", "epoch", b"\xff\xfe"),
        ("hdel", "meta", "epoch"),
        ("hdel", "meta", "offset"),
        ("hdel", "meta", "origin"),
        ("hdel", "meta", "contract"),
    ],
)  # fmt: skip
async def test_damage_is_repaired_under_a_new_epoch(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, damage: tuple[Any, ...]
) -> None:
    """The next poll ends with the source's tree, whole, and every readable row's change told."""
    source.says(SMALL)
    await poll_once(catalog)
    old = await read_keys(client)
    command, key, *words = damage
    await getattr(client, command)(f"{KEYS}{key}", *words)
    polled = await poll_once(catalog)
    found = await read_keys(client)
    check_consistent(found)
    assert polled.repaired
    assert found.rows == old.rows
    assert found.meta["epoch"] != old.meta["epoch"]
    assert (await poll_once(catalog)).outcome == "unchanged"
    assert not (await poll_once(catalog)).repaired


async def test_a_repair_without_change_writes_meta_alone(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Sequence 0, and the stream's last id as offset."""
    source.says(SMALL)
    await poll_once(catalog)
    before = await read_keys(client)
    await client.delete(f"{KEYS}meta")
    await poll_once(catalog)
    after = await read_keys(client)
    assert after.meta["sequence"] == "0"
    assert after.meta["offset"] == before.offsets[-1]
    assert after.events == before.events


async def test_a_repair_without_stream_begins_at_its_begin(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Offset 0-0 where there is no stream."""
    source.says(SMALL)
    await poll_once(catalog)
    await client.delete(f"{KEYS}meta", f"{KEYS}events")
    await poll_once(catalog)
    assert (await read_keys(client)).meta["offset"] == "0-0"


async def test_a_repair_tells_changes_from_the_damaged_rows(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Rows are taken as the state: a row edited by hand becomes an update, from sequence 1."""
    source.says(SMALL)
    await poll_once(catalog)
    edited = '{"id":"2","parent_id":"1","local_name":"edited","is_leaf":false}'
    await client.hset(f"{KEYS}categories", "2", edited)
    await poll_once(catalog)
    (event,) = (await read_keys(client)).events[3:]
    assert event["sequence"] == f"{1:020}"
    assert event["data"]["before"] == orjson.loads(edited)


async def test_a_row_that_says_more_is_a_row(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The digest is of a row's four fields (contract, 4), so nothing of it is damaged."""
    source.says(SMALL)
    await poll_once(catalog)
    more = await client.hget(f"{KEYS}categories", "2")
    assert more is not None
    await client.hset(f"{KEYS}categories", "2", orjson.dumps({**orjson.loads(more), "more": 1}))
    polled = await poll_once(catalog)
    assert (polled.outcome, polled.repaired) == ("unchanged", False)


async def test_a_repair_is_guarded_as_usual(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Damage is no way around the guard."""
    source.says(wide(100))
    await poll_once(catalog)
    await client.delete(f"{KEYS}meta")
    before = await dump(client)
    source.says(wide(50))
    assert (await poll_once(catalog)).outcome == "held"
    assert {**await dump(client), b"hold": None} == before


async def test_hold_and_approval(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """An implausible snapshot waits whole, and is committed once it is approved."""
    source.says(wide(100))
    await poll_once(catalog)
    before = await dump(client)
    source.says(wide(50))
    held = await poll_once(catalog)
    stored = (await dump(client))[b"hold"]
    hold = orjson.loads(stored)
    wanted = {id_: category.fields() for id_, category in wide(50).items()}
    assert held.outcome == "held"
    assert hold["digest"] == digest_of(wanted)
    assert (hold["added"], hold["updated"], hold["removed"]) == (0, 0, 50)
    assert hold["reasons"] == [
        "50 of 100 categories removed: more than 0.1 of them and more than 20"
    ]
    assert hold["first"][0]["type"] == "category.removed"
    assert {**await dump(client), b"hold": None} == before
    assert (await poll_once(catalog)).hold == Hold.from_json(stored)
    assert (await approve(catalog, hold["digest"])).outcome == "changed"
    found = await read_keys(client)
    check_consistent(found)
    assert found.rows == wanted
    assert await client.get(f"{KEYS}hold") is None


async def test_approval_of_what_is_not_there_any_more(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The hold is written as it now is, and nothing else."""
    source.says(wide(100))
    await poll_once(catalog)
    source.says(wide(50))
    first = (await poll_once(catalog)).hold
    before = await dump(client)
    source.says(wide(40))
    with pytest.raises(Held, match="now gives the snapshot"):
        await approve(catalog, first.digest if first else "")
    after = await dump(client)
    assert orjson.loads(after[b"hold"])["removed"] == 60
    assert {**after, b"hold": None} == {**before, b"hold": None}


async def test_approval_when_the_source_is_plausible_again(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Nothing is committed that nobody approved; the hold goes."""
    source.says(wide(100))
    await poll_once(catalog)
    source.says(wide(50))
    hold = (await poll_once(catalog)).hold
    before = await dump(client)
    source.says(wide(101))
    with pytest.raises(Held, match="plausible"):
        await approve(catalog, hold.digest if hold else "")
    assert await dump(client) == {**before, b"hold": None}


async def test_nothing_to_approve(catalog: Catalog, source: ScriptedSource) -> None:
    """Without a hold there is none to approve."""
    source.says(SMALL)
    with pytest.raises(NoHold):
        await approve(catalog, "0" * 16)


async def test_a_hold_that_is_rubbish_goes_too(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """With the next plausible poll, changed or not."""
    source.says(SMALL)
    await poll_once(catalog)
    await client.set(f"{KEYS}hold", "garbage")
    await poll_once(catalog)
    assert await client.get(f"{KEYS}hold") is None


async def test_a_plausible_poll_deletes_the_hold(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """With changes or without."""
    for good in (wide(100), wide(101)):
        source.says(wide(100))
        await poll_once(catalog)
        source.says(wide(50))
        await poll_once(catalog)
        source.says(good)
        await poll_once(catalog)
        assert await client.get(f"{KEYS}hold") is None


async def test_a_change_of_origin_is_refused(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """It names the field; accepted, it is exempt from the guard and written."""
    source.says(wide(100))
    await poll_once(catalog)
    before = await dump(client)
    other = replace(catalog, origin=replace(catalog.origin, locale="de-DE"))
    source.says(wide(50))
    with pytest.raises(OriginChanged, match="locale was None, is 'de-DE'"):
        await poll_once(other)
    with pytest.raises(OriginChanged):
        await compare(other)
    assert await dump(client) == before
    assert (await poll_once(other, accept_origin=True)).outcome == "changed"
    found = await read_keys(client)
    check_consistent(found)
    assert len(found.rows) == 50
    assert orjson.loads(found.meta["origin"])["locale"] == "de-DE"


async def test_an_accepted_origin_is_written_without_a_change(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Epoch and sequence stay, no event is published."""
    source.says(SMALL)
    await poll_once(catalog)
    before = await read_keys(client)
    other = replace(catalog, origin=replace(catalog.origin, locale="de-DE"))
    assert (await poll_once(other, accept_origin=True)).outcome == "unchanged"
    after = await read_keys(client)
    check_consistent(after)
    assert (after.meta["epoch"], after.meta["sequence"]) == (before.meta["epoch"], "3")
    assert after.events == before.events
    assert orjson.loads(after.meta["origin"])["locale"] == "de-DE"


async def test_accepting_the_same_origin_is_no_way_around_the_guard(
    catalog: Catalog, source: ScriptedSource
) -> None:
    """The exemption is for a change of origin alone."""
    source.says(wide(100))
    await poll_once(catalog)
    source.says(wide(50))
    assert (await poll_once(catalog, accept_origin=True)).outcome == "held"


async def test_look_writes_no_key(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A dry run leaves an empty Redis empty."""
    source.says(SMALL)
    found = await compare(catalog)
    assert found.counts == (3, 0, 0)
    assert await client.keys("*") == []


@pytest.mark.parametrize("name", ["categories", "meta", "events", "hold"])
async def test_a_key_of_another_type_is_refused(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, name: str
) -> None:
    """Before the first write, naming the key and what it holds."""
    source.says(SMALL)
    await client.lpush(f"{KEYS}{name}", "x")
    with pytest.raises(WrongType, match=rf"catalog:{{us}}:{name} holds a list"):
        await poll_once(catalog)
    assert set(await client.keys("catalog:*")) == {f"{KEYS}{name}".encode()}


async def test_another_contract_is_left_alone(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """An old publisher does not overwrite what a newer one keeps."""
    source.says(SMALL)
    await client.hset(f"{KEYS}meta", "contract", "2")
    with pytest.raises(UnknownContract, match="update it"):
        await poll_once(catalog)


async def test_the_stream_is_trimmed_at_a_commit(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """By count, exactly; the state is whole all the same."""
    short = replace(catalog, max_events=2)
    source.says(wide(100))
    await poll_once(short)
    found = await read_keys(client)
    assert [int(event["sequence"]) for event in found.events] == [99, 100]
    check_consistent(found)


async def test_the_stream_is_trimmed_by_age(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Entries older than the limit go, by the server's clock."""
    await client.xadd(f"{KEYS}events", {"event": "{}"}, id="1000-0")
    source.says(SMALL)
    await poll_once(catalog)
    assert len((await read_keys(client)).events) == 3


async def test_many_words_are_sent_once(
    real_client: redis.asyncio.Redis, source: ScriptedSource
) -> None:
    """Whether the server knows the script is found out before they are sent."""
    await real_client.script_flush()
    await real_client.config_resetstat()
    source.says(wide(4000))
    await poll_once(make_catalog(Store(real_client, "us"), source))
    stats: Any = await real_client.info("commandstats")
    assert (stats["cmdstat_evalsha"]["calls"], stats["cmdstat_evalsha"]["failed_calls"]) == (1, 0)


@pytest.mark.parametrize("command", ["xtrim", "time", "xadd", "hset", "hdel", "del"])
async def test_a_commit_that_is_not_permitted_writes_nothing(
    real_client: redis.asyncio.Redis, source: ScriptedSource, command: str
) -> None:
    """A user who may not run one of its commands finds out before the first write."""
    await real_client.acl_setuser(
        "narrow", enabled=True, nopass=True, keys=["*"], commands=["+@all", f"-{command}"]
    )
    try:
        await real_client.auth("x", "narrow")
        catalog = make_catalog(Store(real_client, "us"), source)
        source.says(SMALL)
        with pytest.raises(redis.exceptions.ResponseError):
            await poll_once(catalog)
        assert await real_client.keys("catalog:*") == []
    finally:
        await real_client.aclose()
        await real_client.acl_deluser("narrow")


async def test_a_full_memory_writes_nothing(
    real_client: redis.asyncio.Redis, source: ScriptedSource
) -> None:
    """OOM refuses the commit whole."""
    catalog = make_catalog(Store(real_client, "us"), source)
    source.says(SMALL)
    await poll_once(catalog)
    before = await dump(real_client)
    source.says(wide(50))
    await real_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis.exceptions.ResponseError, match="maxmemory"):
            await poll_once(catalog)
    finally:
        await real_client.config_set("maxmemory", "0")
    assert await dump(real_client) == before
