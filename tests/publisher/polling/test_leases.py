"""Leases spread the catalogs evenly, and dead publishers lose theirs."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st

from plumbing.redis.replies import as_text
from publisher.polling.lease_owner import new_owner
from publisher.polling.leases import DEAD, FREE, Leases, plan
from tests.support.waiting import eventually, patience

HOUR = timedelta(hours=1)
NAMES = [f"c{number}" for number in range(10)]
ELSEWHERE = "elsewhere:1:00000000:00000000"
"""An owner in another namespace of process ids, which counts as alive."""


async def distribution(client: redis.asyncio.Redis) -> dict[str, str]:
    """Return the owner of each lease in Redis, by the catalog's name."""
    found = [as_text(key) async for key in client.scan_iter("catalog:*:lease")]
    return {key.split("{")[1].split("}")[0]: as_text(await client.get(key)) for key in found}


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


@pytest.mark.parametrize(
    ("mine", "free", "dead", "others", "taken"),
    [
        (0, 10, 0, (), (10, 0)),
        (0, 2, 0, (1,), (2, 0)),
        (3, 4, 0, (3,), (2, 0)),
        (3, 0, 4, (3,), (2, 0)),
        (3, 1, 3, (3,), (2, 0)),
        (6, 3, 0, (1,), (0, 0)),
        (0, 0, 0, (7,), (0, 3)),
        (0, 0, 0, (4, 4), (0, 2)),
        (2, 1, 0, (9,), (1, 3)),
        (1, 0, 0, (2,), (0, 0)),
    ],
)
def test_a_publisher_takes_its_share(
    mine: int, free: int, dead: int, others: tuple[int, ...], taken: tuple[int, int]
) -> None:
    """A share of all leases, rounded up; from others until they have at most one more."""
    counts = {"me": mine, FREE: free, DEAD: dead, **{f"p{n}": c for n, c in enumerate(others)}}
    owners = dict(enumerate(Counter(counts).elements()))
    planned = plan({f"c{number}": who for number, who in owners.items()}, "me", ())
    assert len(planned.keep) == mine
    assert (len(planned.take_free), len(planned.take_from_others)) == taken


def test_leases_that_nobody_took_come_first() -> None:
    """The others may still want the rest."""
    owners = dict.fromkeys((f"c{number}" for number in range(40)), FREE) | {"c0": "other"}
    waiting = {f"c{number}" for number in range(30, 40)}
    planned = plan(owners, "me", waiting)
    assert len(planned.take_free) == 20
    assert set(planned.take_free[:10]) == waiting


def test_publishers_that_start_together_want_different_leases() -> None:
    """Each chooses at random, among free leases and among those of another."""
    names = [f"c{number}" for number in range(100)]
    free = dict.fromkeys(names, FREE) | {"c0": "other"}
    one, two = (set(plan(free, who, ()).take_free) for who in ("p1", "p2"))
    assert one != two
    of_another = dict.fromkeys(names, "other")
    one, two = (set(plan(of_another, who, ()).take_from_others) for who in ("p1", "p2"))
    assert one != two


@pytest.mark.contract("2")
async def test_one_publisher_has_all(client: redis.asyncio.Redis) -> None:
    """The key holds the owner and expires."""
    leases = Leases(client, timedelta(seconds=30))
    await leases.round(NAMES)
    assert leases.held() == set(NAMES)
    assert as_text(await client.get("catalog:{c3}:lease")) == leases.owner
    assert 17_000 < await client.pttl("catalog:{c3}:lease") <= 18_000


@pytest.mark.contract("2")
async def test_a_lease_is_renewed_often_and_moves_in_time(client: redis.asyncio.Redis) -> None:
    """It outlives two missed rounds; two rounds after its end another has it."""
    lease_time = timedelta(minutes=1)
    leases = Leases(client, lease_time)
    await leases.round(["c0"])
    expiry = timedelta(milliseconds=await client.pttl("catalog:{c0}:lease"))
    assert leases.round_every * 3 < expiry <= lease_time - leases.round_every * 2


@pytest.mark.parametrize("before", [FREE, "dead"])
async def test_publishers_with_different_catalogs_leave_none(
    client: redis.asyncio.Redis, before: str
) -> None:
    """In the second round one also takes what the other, who does not want it, left."""
    mine, theirs, both = NAMES[:7], ["d0", "d1"], "c9"
    first, second = Leases(client, HOUR), Leases(client, HOUR, owner=ELSEWHERE)
    if before == "dead":
        await Leases(client, HOUR, owner=dead_owner()).round(mine)
    await second.round([*theirs, both])
    found = []
    for _ in range(3):
        await first.round([*mine, both])
        await second.round([*theirs, both])
        found.append(await distribution(client))
        assert {name for name, who in found[-1].items() if who == first.owner} == first.held()
        assert second.held() == {*theirs, both}
    whole = dict.fromkeys(mine, first.owner) | dict.fromkeys([*theirs, both], second.owner)
    assert Counter(found[0].values())[first.owner] == 4
    assert found[1:] == [whole, whole]


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
    dead = Leases(client, time, owner=ELSEWHERE)
    await dead.round(NAMES)
    heir = Leases(client, time)
    start = asyncio.get_running_loop().time()

    async def inherited() -> bool:
        await heir.round(NAMES)
        return heir.held() == set(NAMES)

    await eventually(inherited)
    assert asyncio.get_running_loop().time() - start < patience(3)
    assert not dead.holds("c0")


def dead_owner() -> str:
    """Return an owner on this machine whose process does not exist."""
    host, _, space, _ = new_owner().rsplit(":", 3)
    return f"{host}:{2**22 + 1}:{space}:12345678"


async def test_a_lease_of_a_dead_owner_is_free_at_once(client: redis.asyncio.Redis) -> None:
    """A publisher that is restarted on the same machine does not wait for itself."""
    await Leases(client, HOUR, owner=dead_owner()).round(NAMES)
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


class RacedLeases(Leases):
    """Leases of a publisher; `meanwhile` runs after each reading of the owners."""

    meanwhile: Callable[[], Awaitable[object]]

    async def _read_owners(self, names: Iterable[str]) -> Any:
        found = await super()._read_owners(names)
        await self.meanwhile()
        return found


async def test_a_free_lease_that_another_took_meanwhile(client: redis.asyncio.Redis) -> None:
    """It stays with the other."""
    other, leases = Leases(client, HOUR), RacedLeases(client, HOUR)
    leases.meanwhile = lambda: other.round(NAMES[:4])
    await leases.round(NAMES)
    assert leases.held() == set(NAMES[4:])
    taken = dict.fromkeys(NAMES[:4], other.owner)
    assert await distribution(client) == taken | dict.fromkeys(NAMES[4:], leases.owner)


async def test_a_lease_of_ours_that_is_gone_meanwhile(client: redis.asyncio.Redis) -> None:
    """It is not held: what was not there could not be renewed."""
    leases = RacedLeases(client, HOUR)
    leases.meanwhile = client.ping
    await leases.round(NAMES)
    leases.meanwhile = lambda: client.delete("catalog:{c3}:lease")
    await leases.round(NAMES)
    assert leases.held() == set(NAMES) - {"c3"}
    assert await distribution(client) == dict.fromkeys(leases.held(), leases.owner)


async def test_only_own_leases_are_released(client: redis.asyncio.Redis) -> None:
    """Those of another publisher stay, and those of catalogs that are not named."""
    first, second = Leases(client, HOUR), Leases(client, HOUR)
    await first.round(NAMES[:4])
    await second.round(NAMES[4:])
    await first.release([*NAMES[:3], *NAMES[5:]])
    assert first.held() == {"c3"}
    assert await distribution(client) == {
        "c3": first.owner,
        **dict.fromkeys(NAMES[4:], second.owner),
    }


async def test_a_lease_that_cannot_be_read(real_client: redis.asyncio.Redis) -> None:
    """The others are renewed, it stays as it was, and the error is raised."""
    leases = Leases(real_client, HOUR)
    await leases.round(NAMES[:5])
    allowed = [f"catalog:{{{name}}}:lease" for name in NAMES[:4]]
    await real_client.acl_setuser(
        "narrow", enabled=True, nopass=True, keys=allowed, commands=["+@all", "-del"]
    )
    try:
        await real_client.auth("x", "narrow")
        with pytest.raises(redis.exceptions.NoPermissionError):
            await leases.round(NAMES[:6])
        assert leases.held() == set(NAMES[:5])
        with pytest.raises(redis.exceptions.NoPermissionError):
            await leases.release(NAMES[:4])
        assert leases.held() == {"c4"}
    finally:
        await real_client.aclose()
        await real_client.acl_deluser("narrow")
