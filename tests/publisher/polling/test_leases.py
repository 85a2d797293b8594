"""Leases spread the catalogs evenly, and dead publishers lose theirs."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest
import redis.asyncio
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st

from plumbing.redis.replies import as_text
from publisher.polling.lease_owner import new_owner
from publisher.polling.leases import FREE, Leases, plan
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)
NAMES = [f"c{number}" for number in range(10)]


def rounds_until_settled(names: list[str], publishers: list[str], owners: dict[str, str]) -> int:
    """Let `publishers` act in turn until nothing changes; return the rounds."""
    waiting: dict[str, set[str]] = {who: set() for who in publishers}
    for rounds in range(20):
        before = dict(owners)
        for who in random.sample(publishers, len(publishers)):
            planned = plan(owners, who, waiting[who])
            waiting[who] = {name for name in names if owners[name] == FREE}
            owners |= dict.fromkeys([*planned.take_free, *planned.take_from_others], who)
        if owners == before:
            return rounds
    raise AssertionError("they never settle")


@given(catalogs=st.integers(0, 60), publishers=st.integers(1, 7), seed=st.integers(0, 9))
def test_leases_settle_evenly(catalogs: int, publishers: int, seed: int) -> None:
    """From any distribution of leases, publishers soon differ by at most one."""
    random.seed(seed)
    names = [f"c{number}" for number in range(catalogs)]
    living = [f"p{number}" for number in range(publishers)]
    owners = {name: random.choice([FREE, *living]) for name in names}
    assert rounds_until_settled(names, living, owners) <= 6
    counts = Counter(owners.values())
    loads = [counts[who] for who in living]
    assert sum(loads) == catalogs
    assert max(loads) - min(loads) <= 1


def test_catalogs_that_others_do_not_want_are_taken_next() -> None:
    """A publisher with only some of the catalogs configured leaves the others free."""
    owners = {name: FREE if name != "c0" else "other" for name in NAMES}
    first = plan(owners, "me", ())
    assert len(first.take_free) == 5
    assert len(plan(owners, "me", set(NAMES) - {"c0"}).take_free) == 9


@pytest.mark.contract("2")
async def test_one_publisher_has_all(client: redis.asyncio.Redis) -> None:
    """The key holds the owner and expires."""
    leases = Leases(client, timedelta(seconds=30))
    await leases.round(NAMES)
    assert leases.held() == set(NAMES)
    assert as_text(await client.get("catalog:{c3}:lease")) == leases.owner
    assert 17_000 < await client.pttl("catalog:{c3}:lease") <= 18_000


async def test_two_share_and_one_takes_over(client: redis.asyncio.Redis) -> None:
    """The second takes half, and later what the first releases."""
    first, second = Leases(client, HOUR), Leases(client, HOUR)
    await first.round(NAMES)
    await second.round(NAMES)
    assert len(second.held()) == 5
    await first.round(NAMES)
    assert first.held() == set(NAMES) - second.held()
    await first.release(NAMES)
    assert first.held() == set()
    await second.round(NAMES)
    await second.round(NAMES)
    assert second.held() == set(NAMES)


async def test_a_lease_that_is_not_renewed_expires(client: redis.asyncio.Redis) -> None:
    """Another publisher gets it within the lease time, and its owner knows that."""
    time = timedelta(seconds=0.6)
    dead = Leases(client, time, owner="elsewhere:1:00000000:00000000")
    await dead.round(NAMES)
    heir = Leases(client, time)
    start = asyncio.get_running_loop().time()

    async def inherited() -> bool:
        await heir.round(NAMES)
        return heir.held() == set(NAMES)

    await eventually(inherited)
    assert asyncio.get_running_loop().time() - start < 3
    assert not dead.holds("c0")


async def test_a_lease_of_a_dead_owner_is_free_at_once(client: redis.asyncio.Redis) -> None:
    """A publisher that is restarted on the same machine does not wait for itself."""
    host, _, space, _ = new_owner().rsplit(":", 3)
    dead = f"{host}:{2**22 + 1}:{space}:12345678"
    await Leases(client, HOUR, owner=dead).round(NAMES)
    heir = Leases(client, HOUR)
    await heir.round(NAMES)
    assert heir.held() == set(NAMES)


async def test_a_lease_key_of_another_type(client: redis.asyncio.Redis) -> None:
    """It is not touched, and the catalog is polled without a lease."""
    await client.lpush("catalog:{c3}:lease", "x")
    leases = Leases(client, HOUR)
    await leases.round(NAMES)
    assert leases.held() == set(NAMES)
    assert await client.type("catalog:{c3}:lease") == b"list"


async def test_writes_that_are_refused(real_client: redis.asyncio.Redis) -> None:
    """The error is raised, and leases that are certainly held stay held."""
    leases = Leases(real_client, HOUR)
    await leases.round(NAMES[:5])
    await real_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            await leases.round(NAMES)
    finally:
        await real_client.config_set("maxmemory", 0)
    assert leases.held() == set(NAMES[:5])
