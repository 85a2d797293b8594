"""The daemon: polls the catalogs whose leases it holds, each when it is due."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from plumbing.clock import rfc3339
from plumbing.errors import RedisError
from plumbing.redis.replies import as_texts
from plumbing.redis.server import Client, Server
from publisher.core import schedule
from publisher.errors import SourceError
from publisher.polling import daemon as daemons
from publisher.polling.daemon import Daemon, FinishedPoll, PollObserver
from publisher.polling.leases import Leases
from publisher.polling.poll import Catalog
from publisher.sources import Answer
from publisher.state.store import Store
from publisher.web.server import GRACE_SECONDS
from tests.support.catalogs import make_catalog
from tests.support.paths import ROOT
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually, patience

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def ours(valkey: Valkey) -> AsyncIterator[Client]:
    """Give a client like the publisher's, whose tasks can be cancelled."""
    client = Server(valkey.url).client()
    await client.flushall()
    yield client
    await client.aclose()


class CountingSource:
    """A source that counts its calls, and answers or fails once `gate` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.error = error
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Answer:
        """Return two categories."""
        self.calls += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Answer(TREE, bare_list=True)


class RecordingObserver:
    """Keeps the polls that it is notified of."""

    def __init__(self) -> None:
        self.polls: list[FinishedPoll] = []

    def poll_finished(self, poll: FinishedPoll) -> None:
        """Keep it."""
        self.polls.append(poll)

    def redis_failed(self, error: RedisError) -> None:
        """Ignore it."""


TREE = b"""[{"id":"1","parent_id":"0","local_name":"Home","is_leaf":false},
           {"id":"2","parent_id":"1","local_name":"Cups","is_leaf":true}]"""


def catalogs(client: Client, count: int, every: timedelta = HOUR) -> dict[str, Catalog]:
    """Return `count` catalogs with a source each."""
    return {
        name: make_catalog(Store(client, name), CountingSource(), poll_every=every)
        for name in (f"c{number}" for number in range(count))
    }


def calls(of: dict[str, Catalog]) -> list[int]:
    """Return how often each source was asked."""
    return [each.source.calls for each in of.values() if isinstance(each.source, CountingSource)]


@asynccontextmanager
async def running(
    valkey: Valkey,
    client: Client,
    of: dict[str, Catalog],
    *,
    lease: timedelta = SECOND,
    owner: str = "",
    observer: PollObserver | None = None,
) -> AsyncIterator[Daemon]:
    """Run a daemon; stop it as SIGTERM does."""
    daemon = Daemon(
        Server(valkey.url),
        client,
        Leases(client, lease, owner),
        of,
        observer or RecordingObserver(),
    )
    task = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_all_catalogs_are_polled_and_all_leases_released(
    valkey: Valkey, ours: Client
) -> None:
    """A catalog that was never polled is due at once; a stop releases its lease."""
    of = catalogs(ours, 30)
    async with running(valkey, ours, of) as daemon:
        await eventually(lambda: all_of(calls(of), 1))
        await daemon.ready.wait()
        assert daemon.leases.held() == set(of)
        assert daemon.overdue() == []
    assert [key async for key in ours.scan_iter("*:lease")] == []


@pytest.mark.contract("2")
@pytest.mark.parametrize(
    ("error", "waits"), [(None, 0), (SourceError("busy", not_before=7200), 7200)], ids=repr
)
async def test_the_whole_status_of_a_daemons_poll(
    valkey: Valkey, ours: Client, error: SourceError | None, waits: int
) -> None:
    """The next poll is due at the catalog's time, or when the source allows it."""
    of = catalogs(ours, 1)
    source = CountingSource(error)
    async with running(valkey, ours, {"c0": replace(of["c0"], source=source)}):
        status = await eventually(lambda: ours.hgetall("catalog:{c0}:status"))
    found = as_texts(status)
    polled_at = datetime.fromisoformat(found["polled_at"])
    due = schedule.next_due("c0", HOUR, polled_at)
    assert 0 <= int(found.pop("duration_ms")) <= patience(60) * 1000
    assert found == {
        "outcome": "failed" if error else "changed",
        "error": "busy" if error else "",
        "added": "0" if error else "2",
        "updated": "0",
        "removed": "0",
        "polled_at": rfc3339(polled_at),
        "next_poll_at": rfc3339(max(due, polled_at + timedelta(seconds=waits))),
        "succeeded_at": "" if error else rfc3339(polled_at),
    }


async def all_of(counts: list[int], number: int) -> bool:
    """Return whether each of `counts` is `number`."""
    return set(counts) == {number}


async def test_a_second_publisher_takes_half_and_polls_little(valkey: Valkey, ours: Client) -> None:
    """It polls those that are due, and at most ten a second early."""
    one, two = catalogs(ours, 30), catalogs(ours, 30)
    async with running(valkey, ours, one, lease=HOUR):
        await eventually(lambda: all_of(calls(one), 1))
        async with running(valkey, ours, two) as second:
            await eventually(lambda: enough(second, 15))
            assert sum(calls(two)) <= 12


async def enough(daemon: Daemon, count: int) -> bool:
    """Return whether `daemon` holds `count` leases."""
    return len(daemon.leases.held()) == count


async def test_a_dead_publishers_catalogs_are_taken_over(valkey: Valkey, ours: Client) -> None:
    """Within the lease time; they are polled when they are due."""
    dead = Leases(ours, SECOND, owner="elsewhere:1:00000000:00000000")
    of = catalogs(ours, 10)
    await dead.round(of)
    async with running(valkey, ours, of) as heir:
        await eventually(lambda: enough(heir, 10), within=patience(2))
        await eventually(lambda: all_of(calls(of), 1))


async def test_a_slow_catalog_delays_no_other(valkey: Valkey, ours: Client) -> None:
    """A slow catalog does not delay the daemon's stop, either."""
    of = catalogs(ours, 3, timedelta(milliseconds=50))
    slow = of["c1"].source
    assert isinstance(slow, CountingSource)
    slow.gate.clear()
    async with running(valkey, ours, of):
        await eventually(lambda: more_than(of["c0"], 3))
        await eventually(lambda: more_than(of["c2"], 3))
        assert slow.calls == 1


async def more_than(catalog: Catalog, count: int) -> bool:
    """Return whether the source of `catalog` was asked more than `count` times."""
    assert isinstance(catalog.source, CountingSource)
    return catalog.source.calls > count


async def test_catalogs_can_be_replaced(valkey: Valkey, ours: Client) -> None:
    """New and changed ones are polled at once, removed ones are released."""
    of = catalogs(ours, 3)
    new = catalogs(ours, 4)
    async with running(valkey, ours, of) as daemon:
        await eventually(lambda: all_of(calls(of), 1))
        daemon.replace({"c1": new["c1"], "c3": new["c3"]}, {"c2"})
        await eventually(lambda: more_than(new["c1"], 0))
        await eventually(lambda: more_than(new["c3"], 0))
        assert daemon.catalogs.keys() == {"c0", "c1", "c3"}
        assert await ours.exists("catalog:{c2}:lease") == 0
    assert calls(of) == [1, 1, 1]


async def test_a_poll_that_redis_failed_is_repeated_soon(folder: object) -> None:
    """Not after an hour; the observer gets each poll, with its error."""
    observer = RecordingObserver()
    with Valkey(folder) as valkey:  # type: ignore[arg-type]
        client = Server(valkey.url).client()
        of = catalogs(client, 1)
        source = of["c0"].source
        assert isinstance(source, CountingSource)
        source.gate.clear()
        async with running(valkey, client, of, lease=HOUR, observer=observer):
            await eventually(lambda: more_than(of["c0"], 0))
            valkey.kill()
            source.gate.set()
            await eventually(lambda: at_least(observer, 1))
            assert observer.polls[0].error is not None
            valkey.start()
            await eventually(lambda: succeeded(observer))
        await client.aclose()


async def at_least(observer: RecordingObserver, count: int) -> bool:
    """Return whether at least `count` polls have ended."""
    return len(observer.polls) >= count


async def succeeded(observer: RecordingObserver) -> bool:
    """Return whether the last poll succeeded."""
    return observer.polls[-1].result is not None


class StubbornSource(CountingSource):
    """A source that needs a while to end, as a refresh of tokens does."""

    def __init__(self, *, ends: bool) -> None:
        super().__init__()
        self.gate.clear()
        self.steps: list[str] = []
        self._ends = ends

    async def fetch(self) -> Answer:
        """Answer as the others, but end later than asked."""
        try:
            return await super().fetch()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            while not self._ends:
                with suppress(asyncio.CancelledError):
                    await self.gate.wait()
                    break
            self.steps.append("ended")


class WatchedLeases(Leases):
    """Leases that note in `steps` when they are released."""

    steps: list[str]

    async def release(self, names: Iterable[str]) -> None:
        """Note it."""
        self.steps += ["released"] if list(names) else []
        await super().release(names)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stop_waits_for_polls_but_not_for_ever(
    valkey: Valkey, ours: Client, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """Then it releases the leases, since another publisher can continue."""
    if not ends:
        monkeypatch.setattr(daemons, "STOP_SECONDS", 0.05)
    source, leases = StubbornSource(ends=ends), WatchedLeases(ours, HOUR)
    leases.steps = source.steps
    of = {"c0": make_catalog(Store(ours, "c0"), source, poll_every=HOUR)}
    daemon = Daemon(Server(valkey.url), ours, leases, of, RecordingObserver())
    run: asyncio.Task[None] = asyncio.create_task(daemon.run())
    await eventually(lambda: more_than(of["c0"], 0))
    run.cancel()
    await asyncio.wait([run], timeout=PATIENCE)
    assert run.cancelled()
    assert source.steps == (["ended", "released"] if ends else ["released"])
    assert await ours.exists("catalog:{c0}:lease") == 0
    source.gate.set()
    await eventually(lambda: all_of([len(source.steps)], 2))


async def test_a_stop_does_not_wait_for_a_redis_that_hangs(
    valkey: Valkey, ours: Client, monkeypatch: pytest.MonkeyPatch, logged: Any
) -> None:
    """The leases expire instead, and the log says so."""
    monkeypatch.setattr(daemons, "RELEASE_SECONDS", 0.05)
    of = catalogs(ours, 3)
    try:
        async with asyncio.timeout(PATIENCE), running(valkey, ours, of, lease=HOUR):
            await eventually(lambda: all_of(calls(of), 1))
            valkey.pause()
    finally:
        valkey.resume()
    assert logged[-1] == {
        "event": "leases not released, they expire",
        "error": "Redis did not answer within 0 s",
        "log_level": "warning",
    }


def test_a_stop_ends_before_systemd_kills_the_publisher() -> None:
    """Polls, leases and HTTP together, with time left to stop an embedded server."""
    (limit,) = re.findall(
        r"^TimeoutStopSec=(\d+)s$",
        (ROOT / "deploy" / "category-publisher.service").read_text("utf-8"),
        re.MULTILINE,
    )
    assert int(limit) > daemons.STOP_SECONDS + daemons.RELEASE_SECONDS + GRACE_SECONDS
