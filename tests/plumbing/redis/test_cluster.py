"""What happens to a catalog when its slot moves, or has no node."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Final

import pytest
from redis.crc import key_slot

from consumers.following.catalog_client import Timing, connect
from plumbing.redis.server import Server
from tests.plumbing.redis.publishing import Publishing, following, publishing
from tests.support.redis_servers import Cluster, Node, asked, is_said_again, times_said
from tests.support.waiting import eventually, eventually_now

SLOT = key_slot(b"us")
ON_ITS_WAY: Final = "a slot is on its way from one primary to another"


@pytest.fixture
async def catalog(cluster: Cluster) -> AsyncIterator[Publishing]:
    """Give catalog `us` with two categories, on a Cluster that has nothing else."""
    for node in cluster.primaries:
        asked(node, "FLUSHALL")
    async with publishing(cluster.url) as made:
        await made.poll(2)
        yield made


@pytest.fixture
def other(cluster: Cluster) -> Iterator[Node]:
    """Give a primary that has not the slot of `us`, and let the slot go back in the end."""
    owner = cluster.owner(SLOT)
    found = next(node for node in cluster.primaries if node is not owner)
    yield found
    if cluster.owner(SLOT) is not owner:
        move(cluster, found, owner)


def announce(source: Node, target: Node) -> None:
    """Let a slot be on its way."""
    asked(target, "CLUSTER SETSLOT", SLOT, "IMPORTING", source.name)
    asked(source, "CLUSTER SETSLOT", SLOT, "MIGRATING", target.name)


def carry(source: Node, target: Node, count: int) -> None:
    """Move that many keys of it."""
    carry_keys(source, target, asked(source, "CLUSTER GETKEYSINSLOT", SLOT, count))


def carry_keys(source: Node, target: Node, keys: Iterable[str | bytes]) -> None:
    """Move these keys of it."""
    for key in keys:
        asked(source, "MIGRATE", "127.0.0.1", target.port, key, 0, 5000)


def settle(cluster: Cluster, target: Node) -> None:
    """Let the slot be the target's, for all."""
    for node in (target, *cluster.primaries):
        asked(node, "CLUSTER SETSLOT", SLOT, "NODE", target.name)


def move(cluster: Cluster, source: Node, target: Node) -> None:
    announce(source, target)
    carry(source, target, 100)
    settle(cluster, target)


async def test_moved(cluster: Cluster, catalog: Publishing, other: Node) -> None:
    """A slot that has moved is found where it is, by polls and by readers."""
    async with connect(Server(cluster.url), "us", once=True, timing=Timing(block=0.1)) as stream:
        assert len(await stream.read("0-0", wait=False)) == 2
        move(cluster, cluster.owner(SLOT), other)
        assert len(await stream.read("0-0", wait=True)) == 2
        _entries, meta = await stream.read_with_meta("0-0")
        assert meta.sequence == 2
        assert (await catalog.poll(4)).counts.added == 2
        assert await catalog.events() == [1, 2, 3, 4]


ALL: Final = [f"catalog:{{us}}:{name}" for name in ("categories", "meta", "events", "status")]


@pytest.mark.parametrize(
    ("moved", "codes"), [(ALL[:1], {"ASK", "TRYAGAIN"}), (ALL, {"ASK"})], ids=["half", "all"]
)
async def test_on_its_way(
    cluster: Cluster, catalog: Publishing, other: Node, moved: list[str], codes: set[str]
) -> None:
    """While keys are not where their slot is, a poll is refused, a consumer waits; then both go on.

    Of a transaction that is half here, Valkey says TRYAGAIN and Redis 7.0 ASK.
    """
    source = cluster.owner(SLOT)
    asked(source, "CONFIG RESETSTAT")
    announce(source, other)
    carry_keys(source, other, moved)
    error = await catalog.refused(4)
    assert error.is_transient
    assert ON_ITS_WAY in str(error)
    said = times_said(codes, source)
    assert said
    async with following(cluster.url) as stream:
        reading = asyncio.ensure_future(stream.snapshot())
        await eventually(partial(is_said_again, said, codes, source))
        assert not reading.done()
        carry(source, other, 100)
        settle(cluster, other)
        assert len((await reading)[0].rows) == 2
    assert (await catalog.poll(4)).counts.added == 2
    assert await catalog.events() == [1, 2, 3, 4]


async def test_about_to_go(cluster: Cluster, catalog: Publishing, other: Node) -> None:
    """TRYAGAIN, to a commit alone: one of its keys is not there, and would be there or here."""
    source = cluster.owner(SLOT)
    for node in (source, other):  # Valkey says so at the one, Redis 7.0 at the other
        asked(node, "CONFIG RESETSTAT")
    announce(source, other)
    error = await catalog.refused(4)
    assert error.is_transient
    assert ON_ITS_WAY in str(error)
    assert times_said({"TRYAGAIN"}, source, other)
    async with following(cluster.url) as stream:
        assert len((await stream.snapshot())[0].rows) == 2
    carry(source, other, 100)
    settle(cluster, other)
    assert (await catalog.poll(4)).counts.added == 2
    assert await catalog.events() == [1, 2, 3, 4]


async def test_slots_without_a_node(cluster: Cluster, catalog: Publishing) -> None:
    """CLUSTERDOWN passes, also for a consumer; what to look at is told."""
    owner = cluster.owner(SLOT)
    asked(owner, "CLUSTER DELSLOTS", SLOT)
    eventually_now(partial(owner.says, "cluster_state", "fail"))
    error = await catalog.refused(4)
    async with following(cluster.url) as stream:
        reading = asyncio.ensure_future(stream.read_with_meta("0-0"))
        said = times_said({"CLUSTERDOWN"}, *cluster.nodes)
        await eventually(partial(is_said_again, said, {"CLUSTERDOWN"}, *cluster.nodes))
        assert not reading.done()
        asked(owner, "CLUSTER ADDSLOTS", SLOT)
        cluster.wait()
        assert len((await reading)[0]) == 2
    assert error.is_transient
    assert "slots have no primary" in str(error)
    assert (await catalog.poll(4)).counts.added == 2


async def test_flushed_scripts_are_loaded_again(cluster: Cluster, catalog: Publishing) -> None:
    """As after a failover to a replica that never ran one."""
    for node in cluster.primaries:
        asked(node, "SCRIPT FLUSH")
    await catalog.poll(3)
    assert await catalog.events() == [1, 2, 3]
