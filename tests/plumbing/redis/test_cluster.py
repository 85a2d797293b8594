"""A catalog's slot moves or has no node; tokens are shared through a Cluster."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from redis.crc import key_slot

from consumers.following.catalog_client import Timing, connect
from plumbing.redis.server import Server
from publisher.errors import RefreshUnderWay
from publisher.sources.tiktok.tokens.pair import TokenPair
from publisher.sources.tiktok.tokens.stores import token_store
from tests.plumbing.redis.published_catalog import (
    PublishedCatalog,
    open_consumer,
    published_catalog,
)
from tests.publisher.sources.fake_shop import TOKEN_KEY, settings_at
from tests.support.redis_servers import Cluster, Node, execute_on, is_answered_again, times_answered
from tests.support.waiting import eventually, eventually_now

SLOT = key_slot(b"us")
SLOT_IS_MOVING: Final = "a slot is being moved from one primary to another"
PAIR = TokenPair(access_token="access-0", refresh_token="refresh-0")
NEW = TokenPair(access_token="access-1", refresh_token="refresh-1")


@pytest.fixture
async def catalog(cluster: Cluster) -> AsyncIterator[PublishedCatalog]:
    """Publish catalog `us` with two categories, on a Cluster that has nothing else."""
    for node in cluster.primaries:
        execute_on(node, "FLUSHALL")
    async with published_catalog(cluster.url) as made:
        await made.poll(2)
        yield made


@pytest.fixture
def other(cluster: Cluster) -> Iterator[Node]:
    """Return a primary without the slot of `us`; after the test move the slot back."""
    owner = cluster.owner(SLOT)
    found = next(node for node in cluster.primaries if node is not owner)
    yield found
    if cluster.owner(SLOT) is not owner:
        move(cluster, found, owner)


def start_move(source: Node, target: Node) -> None:
    """Mark the slot as being moved."""
    execute_on(target, "CLUSTER SETSLOT", SLOT, "IMPORTING", source.name)
    execute_on(source, "CLUSTER SETSLOT", SLOT, "MIGRATING", target.name)


def move_some_keys(source: Node, target: Node, count: int) -> None:
    """Move at most `count` keys of the slot."""
    move_keys(source, target, execute_on(source, "CLUSTER GETKEYSINSLOT", SLOT, count))


def move_keys(source: Node, target: Node, keys: Iterable[str | bytes]) -> None:
    """Move these keys of the slot."""
    for key in keys:
        execute_on(source, "MIGRATE", "127.0.0.1", target.port, key, 0, 5000)


def finish_move(cluster: Cluster, target: Node) -> None:
    """Assign the slot to `target`, on all nodes."""
    for node in (target, *cluster.primaries):
        execute_on(node, "CLUSTER SETSLOT", SLOT, "NODE", target.name)


def move(cluster: Cluster, source: Node, target: Node) -> None:
    start_move(source, target)
    move_some_keys(source, target, 100)
    finish_move(cluster, target)


@pytest.mark.contract("2")
async def test_finds_a_slot_that_has_moved(
    cluster: Cluster, catalog: PublishedCatalog, other: Node
) -> None:
    """Polls and consumers do."""
    async with connect(Server(cluster.url), "us", once=True, timing=Timing(block=0.1)) as stream:
        assert len(await stream.read("0-0", wait=False)) == 2
        move(cluster, cluster.owner(SLOT), other)
        assert len(await stream.read("0-0", wait=True)) == 2
        _entries, meta = await stream.read_with_meta("0-0")
        assert meta.sequence == 2
        assert (await catalog.poll(4)).counts.added == 2
        assert await catalog.sequences() == [1, 2, 3, 4]


ALL: Final = [f"catalog:{{us}}:{name}" for name in ("categories", "meta", "events", "status")]


@pytest.mark.parametrize(
    ("moved", "codes"), [(ALL[:1], {"ASK", "TRYAGAIN"}), (ALL, {"ASK"})], ids=["half", "all"]
)
async def test_waits_while_a_slot_is_being_moved(
    cluster: Cluster, catalog: PublishedCatalog, other: Node, moved: list[str], codes: set[str]
) -> None:
    """While a slot is being moved polls fail, and a consumer waits.

    Some of its keys are then at the other node. After the move both continue. If a transaction has
    keys at both nodes, Valkey answers TRYAGAIN and Redis 7.0 ASK.
    """
    source = cluster.owner(SLOT)
    execute_on(source, "CONFIG RESETSTAT")
    start_move(source, other)
    move_keys(source, other, moved)
    error = await catalog.poll_error(4)
    assert error.is_transient
    assert SLOT_IS_MOVING in str(error)
    earlier = times_answered(codes, source)
    assert earlier
    async with open_consumer(cluster.url) as stream:
        reading = asyncio.ensure_future(stream.snapshot())
        await eventually(partial(is_answered_again, earlier, codes, source))
        assert not reading.done()
        move_some_keys(source, other, 100)
        finish_move(cluster, other)
        assert len((await reading)[0].rows) == 2
    assert (await catalog.poll(4)).counts.added == 2
    assert await catalog.sequences() == [1, 2, 3, 4]


async def test_a_commit_waits_at_the_start_of_a_move(
    cluster: Cluster, catalog: PublishedCatalog, other: Node
) -> None:
    """One of its keys does not exist yet, so that either node could have it: TRYAGAIN."""
    source = cluster.owner(SLOT)
    for node in (source, other):  # Valkey answers so at one of them, Redis 7.0 at the other
        execute_on(node, "CONFIG RESETSTAT")
    start_move(source, other)
    error = await catalog.poll_error(4)
    assert error.is_transient
    assert SLOT_IS_MOVING in str(error)
    assert times_answered({"TRYAGAIN"}, source, other)
    async with open_consumer(cluster.url) as stream:
        assert len((await stream.snapshot())[0].rows) == 2
    move_some_keys(source, other, 100)
    finish_move(cluster, other)
    assert (await catalog.poll(4)).counts.added == 2
    assert await catalog.sequences() == [1, 2, 3, 4]


async def test_waits_while_a_slot_has_no_node(cluster: Cluster, catalog: PublishedCatalog) -> None:
    """CLUSTERDOWN is transient, also for a consumer; the message says what to check."""
    owner = cluster.owner(SLOT)
    execute_on(owner, "CLUSTER DELSLOTS", SLOT)
    eventually_now(partial(owner.has_cluster_info, "cluster_state", "fail"))
    error = await catalog.poll_error(4)
    async with open_consumer(cluster.url) as stream:
        reading = asyncio.ensure_future(stream.read_with_meta("0-0"))
        earlier = times_answered({"CLUSTERDOWN"}, *cluster.nodes)
        await eventually(partial(is_answered_again, earlier, {"CLUSTERDOWN"}, *cluster.nodes))
        assert not reading.done()
        execute_on(owner, "CLUSTER ADDSLOTS", SLOT)
        cluster.wait()
        assert len((await reading)[0]) == 2
    assert error.is_transient
    assert "slots have no primary" in str(error)
    assert (await catalog.poll(4)).counts.added == 2


async def test_flushed_scripts_are_loaded_again(
    cluster: Cluster, catalog: PublishedCatalog
) -> None:
    """A replica that never ran the script may become the primary in a failover."""
    for node in cluster.primaries:
        execute_on(node, "SCRIPT FLUSH")
    await catalog.poll(3)
    assert await catalog.sequences() == [1, 2, 3]


async def test_shares_tokens_through_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """The lock and the swap of tokens work at the node of their slot."""
    settings = settings_at("http://127.0.0.1:1", tmp_path, token_key=TOKEN_KEY).tiktok_shop
    server = Server(cluster.url)
    async with server.client() as client:
        one, two = (
            token_store(settings, data_dir=tmp_path, client=client, server=server) for _ in range(2)
        )
        await one.store(PAIR)
        await one.check_writable()
        async with one.locked():
            with pytest.raises(RefreshUnderWay):
                async with two.locked(0):
                    pass
            assert await one.replace(PAIR, NEW)
            assert not await two.replace(PAIR, PAIR.model_copy(update={"stored_at": 1.0}))
        async with two.locked(0):
            assert await two.load() == NEW
