"""What happens to a catalog when its slot moves, or has no node."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
from redis.crc import key_slot

from consumers.stream import Pace, opened
from plumbing.server import Server
from tests.redis.publishing import Publishing, publishing
from tests.redis_servers import Cluster, Node, asked
from tests.waiting import eventually_now

SLOT = key_slot(b"us")


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
    for key in asked(source, "CLUSTER GETKEYSINSLOT", SLOT, count):
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
    async with opened(Server(cluster.url), "us", once=True, pace=Pace(block=0.1)) as stream:
        assert len(await stream.read("0-0", wait=False)) == 2
        move(cluster, cluster.owner(SLOT), other)
        assert len(await stream.read("0-0", wait=True)) == 2
        _entries, meta = await stream.look("0-0")
        assert meta.sequence == 2
        assert (await catalog.poll(4)).counts.added == 2
        assert await catalog.events() == [1, 2, 3, 4]


async def test_on_its_way(cluster: Cluster, catalog: Publishing, other: Node) -> None:
    """While some keys are here and some are there, a poll is refused, and that passes."""
    source = cluster.owner(SLOT)
    announce(source, other)
    carry(source, other, 2)
    error = await catalog.refused(4)
    assert error.passing
    carry(source, other, 100)
    settle(cluster, other)
    assert (await catalog.poll(4)).counts.added == 2
    assert await catalog.events() == [1, 2, 3, 4]


async def test_slots_without_a_node(cluster: Cluster, catalog: Publishing) -> None:
    """CLUSTERDOWN passes; what to look at is told."""
    owner = cluster.owner(SLOT)
    asked(owner, "CLUSTER DELSLOTS", SLOT)
    eventually_now(partial(owner.says, "cluster_state", "fail"))
    error = await catalog.refused(4)
    asked(owner, "CLUSTER ADDSLOTS", SLOT)
    cluster.wait()
    assert error.passing
    assert "slots have no primary" in str(error)
    assert (await catalog.poll(4)).counts.added == 2


async def test_flushed_scripts_are_loaded_again(cluster: Cluster, catalog: Publishing) -> None:
    """As after a failover to a replica that never ran one."""
    for node in cluster.primaries:
        asked(node, "SCRIPT FLUSH")
    await catalog.poll(3)
    assert await catalog.events() == [1, 2, 3]
