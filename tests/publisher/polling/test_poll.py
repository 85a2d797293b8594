"""One poll against a store: what is written, and what is not (contract, 5 and 6)."""

import re
from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest
import redis.asyncio

from publisher.core.model import Hold
from publisher.errors import (
    BadSnapshot,
    Held,
    NoHold,
    OriginChanged,
    RaceLost,
)
from publisher.polling.poll import Catalog, approve, compare, poll_once
from tests.support.contract import digest_of
from tests.support.messages import whole
from tests.support.raw_keys import check_consistent, dump_keys, read_keys, replay
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide

KEYS = "catalog:{us}:"
SMALL = tree(("1", "0"), ("2", "1"), ("3", "1"))


@pytest.mark.contract("5.1")
async def test_a_first_import(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """All categories are added, from sequence 1, in one new epoch."""
    source.set_tree(SMALL)
    polled = await poll_once(catalog)
    found = await read_keys(client)
    check_consistent(found)
    assert polled.outcome == "changed"
    assert replay({}, found.events) == found.rows
    assert [int(event["sequence"]) for event in found.events] == [1, 2, 3]
    assert await client.smembers("catalogs") == {b"us"}
    row = await client.hget(f"{KEYS}categories", "2")
    assert row == b'{"id":"2","parent_id":"1","local_name":"name 2","is_leaf":false}'
    assert orjson.loads(found.meta["origin"]) == asdict(catalog.origin)


@pytest.mark.contract("5.1")
async def test_the_next_commit_continues_the_epoch(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The state before plus the commit's events is the state after."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    before = await read_keys(client)
    source.set_tree(tree(("3", "0"), ("1", "3", "moved", False), ("4", "1")))
    await poll_once(catalog)
    after = await read_keys(client)
    check_consistent(after)
    assert after.meta["epoch"] == before.meta["epoch"]
    new = after.events[len(before.events) :]
    assert replay(before.rows, new) == after.rows
    assert {event["time"] for event in new} == {after.meta["committed_at"]}


@pytest.mark.contract("5.4")
async def test_nothing_changed_nothing_written(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Rows in another order are no change."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    before = await dump_keys(client)
    source.set_tree(reversed(SMALL.values()))
    polled = await poll_once(catalog)
    assert polled.outcome == "unchanged"
    assert await dump_keys(client) == before


@pytest.mark.contract("6")
@pytest.mark.contract("5.10")
async def test_a_rejected_snapshot_writes_nothing(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """State, stream and meta stay as they are."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    before = await dump_keys(client)
    source.set_tree(tree(("2", "1"), ("3", "1")))
    with pytest.raises(
        BadSnapshot,
        match=whole(
            "category '2' has the parent '1', which is not in the list (and 1 more): a branch "
            "is missing"
        ),
    ):
        await poll_once(catalog)
    assert await dump_keys(client) == before


@pytest.mark.contract("5.3")
async def test_a_snapshot_is_discarded_if_another_publisher_committed_meanwhile(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The position was read before the fetch, so an old answer cannot undo a new one."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    newer = ScriptedSource()
    newer.set_tree(tree(("1", "0", "renamed", False), ("2", "1"), ("3", "1")))
    source.meanwhile = lambda: poll_once(replace(catalog, source=newer))
    with pytest.raises(RaceLost):
        await poll_once(catalog)
    assert (await read_keys(client)).rows["1"]["local_name"] == "renamed"


@pytest.mark.contract("5.2")
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
        ("hset", "meta", "epoch", "9F3C1A2B"),
        ("hset", "meta", "sequence", "03"),
        ("hset", "meta", "count", "03"),
        ("hset", "meta", "offset", "1"),
        ("hset", "meta", "committed_at", ""),
        ("hset", "meta", "contract", ""),
        ("hdel", "meta", "committed_at"),
        ("hdel", "meta", "epoch"),
        ("hdel", "meta", "offset"),
        ("hdel", "meta", "origin"),
        ("hdel", "meta", "contract"),
    ],
)  # fmt: skip
async def test_damage_is_repaired_under_a_new_epoch(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource, damage: tuple[Any, ...]
) -> None:
    """After the next poll the state is the source's tree, complete."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    old = await read_keys(client)
    command, key, *arguments = damage
    await getattr(client, command)(f"{KEYS}{key}", *arguments)
    polled = await poll_once(catalog)
    found = await read_keys(client)
    check_consistent(found)
    assert polled.is_repaired
    assert found.rows == old.rows
    assert found.meta["epoch"] != old.meta["epoch"]
    assert (await poll_once(catalog)).outcome == "unchanged"
    assert not (await poll_once(catalog)).is_repaired


@pytest.mark.contract("5.2")
async def test_a_repair_without_changes_writes_only_meta(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Its sequence is 0, its offset the stream's last id."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    before = await read_keys(client)
    await client.delete(f"{KEYS}meta")
    await poll_once(catalog)
    after = await read_keys(client)
    assert after.meta["sequence"] == "0"
    assert after.meta["offset"] == before.offsets[-1]
    assert after.events == before.events


@pytest.mark.contract("5.2")
async def test_a_repair_without_a_stream_has_offset_0(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Consumers read the stream from its start."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    await client.delete(f"{KEYS}meta", f"{KEYS}events")
    await poll_once(catalog)
    assert (await read_keys(client)).meta["offset"] == "0-0"


@pytest.mark.contract("5.2")
async def test_a_repair_publishes_changes_from_the_damaged_rows(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A row that was edited by hand becomes an update, from sequence 1."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    edited = '{"id":"2","parent_id":"1","local_name":"edited","is_leaf":false}'
    await client.hset(f"{KEYS}categories", "2", edited)
    await poll_once(catalog)
    (event,) = (await read_keys(client)).events[3:]
    assert event["sequence"] == f"{1:020}"
    assert event["data"]["before"] == orjson.loads(edited)


@pytest.mark.contract("5.2")
@pytest.mark.contract("5.10")
async def test_a_repair_is_guarded(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A damaged state does not bypass the guard."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    await client.delete(f"{KEYS}meta")
    before = await dump_keys(client)
    source.set_tree(wide(50))
    assert (await poll_once(catalog)).outcome == "held"
    assert {**await dump_keys(client), b"hold": None} == before


@pytest.mark.contract("6")
@pytest.mark.contract("5.10")
async def test_a_hold_and_its_approval(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """An implausible snapshot is held entirely, and committed once it is approved."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    before = await dump_keys(client)
    source.set_tree(wide(50))
    held = await poll_once(catalog)
    stored = (await dump_keys(client))[b"hold"]
    hold = orjson.loads(stored)
    wanted = {id_: category.fields() for id_, category in wide(50).items()}
    assert held.outcome == "held"
    assert hold["digest"] == digest_of(wanted)
    assert (hold["added"], hold["updated"], hold["removed"]) == (0, 0, 50)
    assert hold["reasons"] == [
        "50 of 100 categories removed: more than 0.1 of them and more than 20"
    ]
    assert hold["first"][0]["type"] == "category.removed"
    assert {**await dump_keys(client), b"hold": None} == before
    assert (await poll_once(catalog)).hold == Hold.from_json(stored)
    assert (await approve(catalog, hold["digest"])).outcome == "changed"
    found = await read_keys(client)
    check_consistent(found)
    assert found.rows == wanted
    assert await client.get(f"{KEYS}hold") is None


@pytest.mark.contract("6")
async def test_approval_when_the_source_gives_another_snapshot(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The new hold is written, and nothing else."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    source.set_tree(wide(50))
    first = (await poll_once(catalog)).hold
    before = await dump_keys(client)
    source.set_tree(wide(40))
    with pytest.raises(
        Held,
        match=whole(
            "catalog us: the source now returns the snapshot 30bf7c955ea79dde, not "
            "45fcddf325de9f41: nothing was committed; check it with `category-publisher "
            "diff us` and approve that one"
        ),
    ):
        await approve(catalog, first.digest if first else "")
    after = await dump_keys(client)
    assert orjson.loads(after[b"hold"])["removed"] == 60
    assert {**after, b"hold": None} == {**before, b"hold": None}


@pytest.mark.contract("6")
async def test_approval_when_the_source_is_plausible_again(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Nothing is committed that nobody approved; the hold is deleted."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    source.set_tree(wide(50))
    hold = (await poll_once(catalog)).hold
    before = await dump_keys(client)
    source.set_tree(wide(101))
    with pytest.raises(
        Held,
        match=whole(
            "catalog us: the source now returns another snapshot than 45fcddf325de9f41, "
            "which is plausible: the hold was deleted, nothing was committed; the next poll "
            "commits it"
        ),
    ):
        await approve(catalog, hold.digest if hold else "")
    assert await dump_keys(client) == {**before, b"hold": None}


@pytest.mark.contract("6")
async def test_approval_without_a_hold(catalog: Catalog, source: ScriptedSource) -> None:
    """An approval is an error if no snapshot is held."""
    source.set_tree(SMALL)
    with pytest.raises(NoHold):
        await approve(catalog, "0" * 16)


@pytest.mark.contract("6")
async def test_a_hold_that_cannot_be_read_is_deleted(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """By the next plausible poll, changed or not."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    for good in (SMALL, tree(("1", "0"))):
        await client.set(f"{KEYS}hold", "garbage")
        source.set_tree(good)
        await poll_once(catalog)
        assert await client.get(f"{KEYS}hold") is None


@pytest.mark.contract("6")
async def test_a_plausible_poll_deletes_the_hold(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """With changes or without."""
    for good in (wide(100), wide(101)):
        source.set_tree(wide(100))
        await poll_once(catalog)
        source.set_tree(wide(50))
        assert (await poll_once(catalog)).outcome == "held"
        assert await client.get(f"{KEYS}hold") is not None
        source.set_tree(good)
        await poll_once(catalog)
        assert await client.get(f"{KEYS}hold") is None


@pytest.mark.contract("5.11")
async def test_a_change_of_origin_must_be_accepted(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The error names the field; accepted, it is written and exempt from the guard."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    before = await dump_keys(client)
    other = replace(catalog, origin=replace(catalog.origin, locale="de-DE"))
    source.set_tree(wide(50))
    with pytest.raises(
        OriginChanged,
        match=whole(
            "catalog us: its origin has changed (locale was None, is 'de-DE'), which could "
            "change every category: publish the new origin under another catalog name, or "
            "accept it with `category-publisher sync us --accept-origin`"
        ),
    ):
        await poll_once(other)
    with pytest.raises(OriginChanged):
        await compare(other)
    assert await dump_keys(client) == before
    assert (await poll_once(other, accept_origin=True)).outcome == "changed"
    found = await read_keys(client)
    check_consistent(found)
    assert len(found.rows) == 50
    assert orjson.loads(found.meta["origin"])["locale"] == "de-DE"


@pytest.mark.contract("5.11")
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tenant", "x", "(tenant was 'x', is missing)"),
        ("locale", None, "(locale was missing, is None)"),
    ],
)
async def test_an_unknown_field_makes_another_origin(
    client: redis.asyncio.Redis,
    catalog: Catalog,
    source: ScriptedSource,
    field: str,
    value: str | None,
    message: str,
) -> None:
    """An unknown or a missing field makes another origin.

    A publisher of another version may have written the origin.
    """
    source.set_tree(SMALL)
    await poll_once(catalog)
    origin = asdict(catalog.origin)
    others = {name: origin[name] for name in origin.keys() - {field}}
    stored = {**others, field: value} if value else others
    await client.hset(f"{KEYS}meta", "origin", orjson.dumps(stored).decode())
    before = await dump_keys(client)
    with pytest.raises(OriginChanged, match=re.escape(message)):
        await poll_once(catalog)
    assert await dump_keys(client) == before
    await poll_once(catalog, accept_origin=True)
    assert orjson.loads((await read_keys(client)).meta["origin"]) == origin


@pytest.mark.contract("5.11")
async def test_an_accepted_origin_is_written_without_changes(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Epoch and sequence stay, no event is published."""
    source.set_tree(SMALL)
    await poll_once(catalog)
    before = await read_keys(client)
    other = replace(catalog, origin=replace(catalog.origin, locale="de-DE"))
    assert (await poll_once(other, accept_origin=True)).outcome == "unchanged"
    after = await read_keys(client)
    check_consistent(after)
    assert (after.meta["epoch"], after.meta["sequence"]) == (before.meta["epoch"], "3")
    assert after.events == before.events
    assert orjson.loads(after.meta["origin"])["locale"] == "de-DE"


@pytest.mark.contract("5.11")
@pytest.mark.contract("5.10")
async def test_accepting_the_same_origin_does_not_bypass_the_guard(
    catalog: Catalog, source: ScriptedSource
) -> None:
    """Only a change of origin is exempt."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    source.set_tree(wide(50))
    assert (await poll_once(catalog, accept_origin=True)).outcome == "held"


@pytest.mark.contract("7")
async def test_a_comparison_writes_no_key(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A dry run leaves an empty Redis empty."""
    source.set_tree(SMALL)
    found = await compare(catalog)
    assert found.counts == (3, 0, 0)
    assert await client.keys("*") == []
