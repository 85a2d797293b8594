"""One round of the daemon after the other: what it starts, cancels and reports."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions

from plumbing import clock
from plumbing.errors import RedisError
from publisher.polling.leases import Leases
from publisher.polling.poll import Catalog
from tests.publisher.polling.stepped_daemon import HOUR, SteppedDaemon, catalogs, fetch_of
from tests.support.valkey import fake_client
from tests.support.waiting import PATIENCE, eventually

ELSEWHERE = "elsewhere:1:00000000:00000000"
DOWN = redis.exceptions.ConnectionError("connection refused")


@pytest.fixture
async def client() -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client of an empty fakeredis."""
    async with fake_client() as made:
        made.connection_pool.max_connections = 1000
        yield made


async def write_status(catalog: Catalog, polled: datetime, due: datetime) -> None:
    """Write the status of a poll that succeeded."""
    status = {"polled_at": clock.rfc3339(polled), "next_poll_at": clock.rfc3339(due)}
    await catalog.store.write_status({"outcome": "unchanged", **status})


def check_rate(starts: Iterable[datetime], rate: int, begin: datetime, end: datetime) -> None:
    """Check that the first start is between the two times, the others at `rate`."""
    for index, due in enumerate(sorted(starts)):
        step = timedelta(seconds=index / rate)
        assert begin + step <= due <= end + step


async def test_polls_start_at_a_limited_rate(client: redis.asyncio.Redis) -> None:
    """A hundred a second, though all of them are due."""
    daemon = SteppedDaemon(client, catalogs(client, 300))
    begin = clock.now()
    await daemon.round()
    assert len(daemon.starts) == 300
    check_rate(daemon.starts.values(), 100, begin, clock.now())
    await daemon._stop()


async def test_catalogs_are_replaced_at_a_limited_rate(client: redis.asyncio.Redis) -> None:
    """A reload may change all of them; those with a lease are polled here."""
    daemon = SteppedDaemon(client, catalogs(client, 50))
    await daemon.round()
    daemon.starts.clear()
    begin = clock.now()
    daemon.replace(catalogs(client, 60), ())
    assert daemon.starts.keys() == catalogs(client, 50).keys()
    check_rate(daemon.starts.values(), 100, begin, clock.now())
    await daemon._stop()


async def test_after_a_start_some_are_polled_early(client: redis.asyncio.Redis) -> None:
    """Ten a second, though none is due yet; so the user sees that it works."""
    of = catalogs(client, 30)
    now = clock.now()
    for each in of.values():
        await write_status(each, now - HOUR / 2, now + HOUR / 2)
    daemon = SteppedDaemon(client, of)
    begin = clock.now()
    await daemon.round()
    check_rate(daemon.starts.values(), 10, begin, clock.now())
    await daemon._stop()


async def test_catalogs_of_another_are_polled_when_they_are_due(
    client: redis.asyncio.Redis,
) -> None:
    """Not early: the daemon has shown already that it works."""
    of = catalogs(client, 10)
    other = Leases(client, HOUR, owner=ELSEWHERE)
    await other.round(of)
    now = clock.now().replace(microsecond=0)
    dues = {name: now + timedelta(minutes=int(name[1:]) + 10) for name in of}
    for name, each in of.items():
        await write_status(each, now, dues[name])
    daemon = SteppedDaemon(client, of)
    await daemon.round()
    early = set(daemon.starts)
    assert len(early) == 5
    await other.release(of)
    await daemon.round()
    late = {name: due for name, due in daemon.starts.items() if name not in early}
    assert late == {name: dues[name] for name in of.keys() - early}
    await daemon._stop()


async def test_the_catalog_that_waits_the_longest_comes_first(client: redis.asyncio.Redis) -> None:
    """All that are due, by their last poll; then the others by when they are due."""
    of = catalogs(client, 20)
    now = clock.now()
    for name, each in of.items():
        number = int(name[1:])
        if number:  # c0 was never polled
            polled = now - timedelta(minutes=(number * 7) % 20 + 61)
            due = now + timedelta(minutes=30 - number) if number > 10 else polled + HOUR
            await write_status(each, now if number > 10 else polled, due)
    daemon = SteppedDaemon(client, of)
    await daemon.round()
    due_now = sorted(range(1, 11), key=lambda number: -((number * 7) % 20))
    expected = ["c0", *(f"c{number}" for number in due_now), *(f"c{n}" for n in range(19, 10, -1))]
    assert list(daemon.starts) == expected
    assert all(before < after for before, after in pairwise(daemon.starts.values()))
    await daemon._stop()


async def test_a_catalog_that_was_replaced_meanwhile_is_started_once(
    client: redis.asyncio.Redis,
) -> None:
    """A reload came while the statuses were read."""
    daemon = SteppedDaemon(client, catalogs(client, 3))
    await daemon.own_leases.round(daemon.catalogs)
    daemon.replace(catalogs(client, 2), ())
    daemon._start_all({name: {} for name in daemon.catalogs}, clock.now())  # asserts it
    assert daemon.starts.keys() == {"c0", "c1", "c2"}
    await daemon._stop()


async def test_a_poll_ends_with_its_lease(client: redis.asyncio.Redis) -> None:
    """The others go on."""
    daemon = SteppedDaemon(client, catalogs(client, 4))
    await daemon.round()
    assert daemon.running() == set(daemon.catalogs)
    await client.set("catalog:{c1}:lease", ELSEWHERE)
    await daemon.round()
    await eventually(lambda: asyncio.sleep(0, daemon.running() == {"c0", "c2", "c3"}))
    await daemon._stop()


async def test_a_poll_that_is_replaced_or_removed_is_cancelled(client: redis.asyncio.Redis) -> None:
    """Its answer would be that of an old configuration."""
    of = catalogs(client, 3)
    daemon = SteppedDaemon(client, of)
    await daemon.round()
    tasks = {name: each.task for name, each in daemon._scheduled.items()}
    daemon.starts.clear()
    daemon.replace({"c0": catalogs(client, 1)["c0"]}, ["c1", "unknown"])

    async def cancelled() -> set[str]:
        return {name for name, task in tasks.items() if task is not None and task.cancelled()}

    await eventually(cancelled)
    assert await cancelled() == {"c0", "c1"}
    assert daemon.running() == {"c0", "c2"}
    await daemon._stop()


async def test_a_catalog_without_a_lease_is_not_polled(client: redis.asyncio.Redis) -> None:
    """The process slept, or Redis was away: another publisher may have it."""
    of = catalogs(client, 1)
    daemon = SteppedDaemon(client, of)
    async with asyncio.timeout(PATIENCE):
        await daemon._keep_in_sync(daemon._scheduled["c0"])
    assert fetch_of(of["c0"]).calls == 0


async def test_removed_catalogs_are_released_until_that_succeeds(
    client: redis.asyncio.Redis,
) -> None:
    """Then no more: they may come back."""
    daemon = SteppedDaemon(client, catalogs(client, 3))
    await daemon.round()
    daemon.replace({}, {"c1"})
    daemon.own_leases.error = DOWN
    await daemon.round()
    daemon.own_leases.error = None
    await daemon.round()
    await daemon.round()
    assert daemon.own_leases.released == [set(), {"c1"}, {"c1"}, set()]
    assert await client.exists("catalog:{c1}:lease") == 0
    await daemon._stop()
    assert daemon.own_leases.released[-1] == {"c0", "c2"}


async def test_a_round_that_redis_fails_is_reported(
    client: redis.asyncio.Redis, logged: Any
) -> None:
    """It is not ready before a round succeeds; polls whose leases are held go on."""
    daemon = SteppedDaemon(client, catalogs(client, 2))
    daemon.own_leases.error = DOWN
    await daemon.round()
    await daemon.round()
    assert "Redis at redis://test" in daemon.lease_error
    assert [str(error) for error in daemon.redis_errors] == [daemon.lease_error] * 2
    assert not daemon.ready.is_set()
    assert daemon.starts == {}
    daemon.own_leases.error = None
    await daemon.round()
    assert (daemon.lease_error, daemon.ready.is_set()) == ("", True)
    daemon.own_leases.error = DOWN
    await daemon.round()
    assert (bool(daemon.lease_error), daemon.ready.is_set()) == (True, True)
    assert daemon.running() == {"c0", "c1"}
    outage, again = "redis unavailable, retrying", "redis available again"
    assert [each["event"] for each in logged] == [outage, again, outage]
    await daemon._stop()


async def test_an_outage_ends_when_its_catalog_goes(
    client: redis.asyncio.Redis, logged: Any
) -> None:
    """Another publisher has it now."""
    daemon = SteppedDaemon(client, catalogs(client, 2))
    await daemon.round()
    for name in ("c0", "c1"):
        daemon._outages.failed(name, RedisError("down", advice="wait"))
    daemon.replace({}, {"c0"})
    await daemon.round()
    assert [each["event"] for each in logged] == ["redis unavailable, retrying"]
    await client.set("catalog:{c1}:lease", ELSEWHERE)
    await daemon.round()
    assert logged[-1]["event"] == "redis available again"
    await daemon._stop()


async def test_a_reload_does_not_wait_for_the_next_round(client: redis.asyncio.Redis) -> None:
    """It makes one more round, not a loop without end."""
    daemon = SteppedDaemon(client, catalogs(client, 1))
    run: asyncio.Task[None] = asyncio.create_task(daemon.run())
    await daemon.ready.wait()
    daemon.replace(dict([*catalogs(client, 2).items()][1:]), ())
    await eventually(lambda: asyncio.sleep(0, daemon.running() == {"c0", "c1"}))
    for _ in range(100):
        await asyncio.sleep(0)
    assert daemon.own_leases.rounds == 2
    run.cancel()
    await asyncio.wait([run])


async def test_only_a_catalog_that_is_polled_here_is_overdue(client: redis.asyncio.Redis) -> None:
    """Two minutes after it was due."""
    daemon = SteppedDaemon(client, catalogs(client, 3))
    await daemon.own_leases.round(["c0", "c1"])
    daemon._start_all({"c0": {}, "c1": {}}, clock.now())
    for name, minutes in (("c0", 1.9), ("c1", 2.1), ("c2", 9.0)):
        daemon._scheduled[name].due = clock.now() - timedelta(minutes=minutes)
    assert daemon.overdue() == ["c1"]
    await daemon._stop()
