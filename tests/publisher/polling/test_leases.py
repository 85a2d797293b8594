"""Leases: who should poll now. They save calls, and are never what makes a write safe."""

import asyncio
import os
import random
from collections import Counter
from datetime import timedelta

import pytest
import redis.asyncio
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st

from plumbing.redis.replies import as_text
from publisher.polling.lease_owner import is_alive, new_owner
from publisher.polling.leases import FREE, Leases, plan
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)
NAMES = [f"c{number}" for number in range(10)]


def settled(names: list[str], publishers: list[str], owners: dict[str, str]) -> int:
    """Let `publishers` take turns until nobody does anything; return how many rounds that took."""
    waiting: dict[str, set[str]] = {who: set() for who in publishers}
    for rounds in range(20):
        before = dict(owners)
        for who in random.sample(publishers, len(publishers)):
            planned = plan(owners, who, waiting[who])
            waiting[who] = {name for name in names if owners[name] == FREE}
            owners |= dict.fromkeys([*planned.take, *planned.steal], who)
        if owners == before:
            return rounds
    raise AssertionError("they never settle")


@given(catalogs=st.integers(0, 60), publishers=st.integers(1, 7), seed=st.integers(0, 9))
def test_leases_settle_evenly(catalogs: int, publishers: int, seed: int) -> None:
    """Whatever was owned before, by the living or by nobody: soon nobody has two more."""
    random.seed(seed)
    names = [f"c{number}" for number in range(catalogs)]
    living = [f"p{number}" for number in range(publishers)]
    owners = {name: random.choice([FREE, *living]) for name in names}
    assert settled(names, living, owners) <= 6
    counts = Counter(owners.values())
    loads = [counts[who] for who in living]
    assert sum(loads) == catalogs
    assert max(loads) - min(loads) <= 1


def test_what_others_do_not_want_is_taken_in_the_next_round() -> None:
    """A publisher that has only some of the catalogs must not leave the others to nobody."""
    owners = {name: FREE if name != "c0" else "other" for name in NAMES}
    first = plan(owners, "me", ())
    assert len(first.take) == 5
    assert len(plan(owners, "me", set(NAMES) - {"c0"}).take) == 9


async def test_one_publisher_has_all(client: redis.asyncio.Redis) -> None:
    """The key holds the owner and ends by itself (contract, 2)."""
    leases = Leases(client, timedelta(seconds=30))
    await leases.round(NAMES)
    assert leases.held() == set(NAMES)
    assert as_text(await client.get("catalog:{c3}:lease")) == leases.owner
    assert 17_000 < await client.pttl("catalog:{c3}:lease") <= 18_000


async def test_two_share_and_one_takes_over(client: redis.asyncio.Redis) -> None:
    """The second takes half; what the first hands back is the second's in its next round."""
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


async def test_a_lease_that_nobody_renews_ends(client: redis.asyncio.Redis) -> None:
    """Another publisher has it within the lease time, and its owner knows that it has it no more."""
    time = timedelta(seconds=0.6)
    dead = Leases(client, time, owner="elsewhere:1:00000000:00000000")
    await dead.round(NAMES)
    heir = Leases(client, time)
    begun = asyncio.get_running_loop().time()

    async def inherited() -> bool:
        await heir.round(NAMES)
        return heir.held() == set(NAMES)

    await eventually(inherited)
    assert asyncio.get_running_loop().time() - begun < 3
    assert not dead.holds("c0")


async def test_a_lease_of_the_dead_is_free_at_once(client: redis.asyncio.Redis) -> None:
    """A publisher that is started again on the same machine does not wait for itself."""
    host, _, space, _ = new_owner().rsplit(":", 3)
    dead = f"{host}:{2**22 + 1}:{space}:12345678"
    await Leases(client, HOUR, owner=dead).round(NAMES)
    heir = Leases(client, HOUR)
    await heir.round(NAMES)
    assert heir.held() == set(NAMES)


def test_who_has_life() -> None:
    """Only who shares the space of process ids can say that an owner is dead."""
    owner = new_owner()
    host, pid, space, _ = owner.rsplit(":", 3)
    assert is_alive(owner)
    assert is_alive(f"{host}:{os.getppid()}:{space}:12345678")
    assert is_alive(f"{host}:{2**22 + 1}:ffffffff:12345678")
    assert is_alive("somebody")
    assert not is_alive(f"{host}:{pid}:{space}:12345678")
    assert not is_alive(f"{host}:{2**22 + 1}:{space}:12345678")
    assert not is_alive("")


async def test_a_lease_of_another_type(client: redis.asyncio.Redis) -> None:
    """It is left alone, and the catalog is polled without: a lease only saves calls."""
    await client.lpush("catalog:{c3}:lease", "x")
    leases = Leases(client, HOUR)
    await leases.round(NAMES)
    assert leases.held() == set(NAMES)
    assert await client.type("catalog:{c3}:lease") == b"list"


async def test_refused_writes(real_client: redis.asyncio.Redis) -> None:
    """An error is raised, having kept what is known to be held."""
    leases = Leases(real_client, HOUR)
    await leases.round(NAMES[:5])
    await real_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            await leases.round(NAMES)
    finally:
        await real_client.config_set("maxmemory", 0)
    assert leases.held() == set(NAMES[:5])
