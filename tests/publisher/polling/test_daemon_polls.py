"""One poll of the daemon: its logs, its report, and when the next one is due."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions

from plumbing import clock
from plumbing.errors import Error, RedisError
from publisher.core import schedule
from publisher.errors import BadSnapshot, SourceError
from publisher.polling.daemon import LATEST_RETRY, FinishedPoll, _ScheduledCatalog
from publisher.polling.poll_log import PollLog
from publisher.state.store import Store
from tests.publisher.polling.stepped_daemon import HOUR, SteppedDaemon, catalogs, fetch_of
from tests.support.valkey import fake_client

TRANSIENT = RedisError("down", is_transient=True, advice="wait")
PERMANENT = RedisError("refused", is_transient=False, advice="fix it")
OUTAGE, RECOVERED = "redis unavailable, retrying", "redis available again"


class BreakableStore(Store):
    """A store that fails with `poll_error` at first, or with `status_error` at last."""

    poll_error: Exception | None = None
    status_error: Exception | None = None

    async def register(self) -> None:
        """Register, or fail."""
        if self.poll_error is not None:
            raise self.poll_error
        await super().register()

    async def write_status(self, status: Mapping[str, str]) -> None:
        """Write, or fail."""
        if self.status_error is not None:
            raise self.status_error
        await super().write_status(status)


class OneCatalog:
    """A daemon with one catalog, which is polled by hand."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        (catalog,) = catalogs(client, 1).values()
        self.store = BreakableStore(client, "c0")
        self.source = fetch_of(catalog)
        self.source.gate.set()
        self.daemon = SteppedDaemon(client, {"c0": replace(catalog, store=self.store)})
        self.scheduled = self.daemon._scheduled["c0"]

    async def poll(self) -> FinishedPoll:
        """Poll once; return what was reported."""
        await self.daemon._poll(self.scheduled)
        return self.daemon.polls[-1]


@pytest.fixture
async def one(logged: Any) -> AsyncIterator[OneCatalog]:  # noqa: ARG001  its log is kept
    """Give a catalog on an empty fakeredis."""
    async with fake_client() as client:
        yield OneCatalog(client)


def events(logged: list[dict[str, Any]]) -> list[str]:
    """Return the messages that were logged."""
    return [each["event"] for each in logged]


async def test_each_poll_is_logged_and_reported(one: OneCatalog, logged: Any) -> None:
    """A failure of the source is no outage of Redis."""
    first = await one.poll()
    assert (first.catalog, first.error, first.result and first.result.outcome) == (
        "c0",
        None,
        "changed",
    )
    assert first.seconds >= 0
    one.source.error = BadSnapshot("empty")
    failed = await one.poll()
    assert (failed.result, failed.error) == (None, one.source.error)
    one.source.error = None
    assert (await one.poll()).error is None
    assert events(logged) == ["published", "poll failed", "poll recovered"]
    assert logged[1]["error"] == "empty"
    assert len(one.daemon.polls) == 3


async def test_a_bug_stops_no_polls(one: OneCatalog, logged: Any) -> None:
    """It is logged and reported, and the next poll is due as usual."""
    one.source.error = ValueError("a bug")
    before = clock.now()
    assert (await one.poll()).error is one.source.error
    assert events(logged) == ["poll ended unexpectedly"]
    assert one.scheduled.due >= schedule.next_due("c0", HOUR, before)


@pytest.mark.parametrize("at", ["poll_error", "status_error"])
async def test_an_outage_is_logged_once(one: OneCatalog, logged: Any, at: str) -> None:
    """Also if only the status could not be written; that poll succeeded."""
    setattr(one.store, at, redis.exceptions.ConnectionError("gone"))
    for _ in range(2):
        poll = await one.poll()
        assert isinstance(poll.error, RedisError) == (at == "poll_error")
        assert (poll.result is None) == (at == "poll_error")
    setattr(one.store, at, None)
    await one.poll()
    await one.poll()
    in_order = {
        "poll_error": [OUTAGE, "published", RECOVERED],
        "status_error": ["published", OUTAGE, RECOVERED],
    }
    assert events(logged) == in_order[at]


@pytest.fixture
def scheduled(one: OneCatalog) -> _ScheduledCatalog:
    """Give a catalog whose interval is ten hours."""
    catalog = replace(one.scheduled.catalog, poll_every=10 * HOUR)
    return _ScheduledCatalog(catalog, PollLog("c0"))


def seconds_until_retry(scheduled: _ScheduledCatalog, error: Error) -> float:
    """Return the seconds from now to the poll after one that began an hour ago."""
    due = scheduled.schedule_next(clock.now() - HOUR, error)
    assert due == scheduled.due
    assert scheduled.longest_wait.total_seconds() == pytest.approx(
        (due - clock.now()).total_seconds(), abs=1
    )
    return (due - clock.now()).total_seconds()


def test_a_poll_that_redis_failed_is_repeated_ever_later(scheduled: _ScheduledCatalog) -> None:
    """The wait doubles up to a minute; a poll that Redis served resets it."""
    for limit in [1, 2, 4, 8, 16, 32, 60, 60]:
        assert limit / 2 - 0.2 <= seconds_until_retry(scheduled, TRANSIENT) <= limit
    assert LATEST_RETRY == 60
    scheduled.schedule_next(clock.now(), None)
    assert seconds_until_retry(scheduled, TRANSIENT) <= 1


def test_a_repetition_does_not_come_later_than_the_interval(one: OneCatalog) -> None:
    """A catalog may be polled every few milliseconds."""
    every = timedelta(milliseconds=100)
    often = _ScheduledCatalog(replace(one.scheduled.catalog, poll_every=every), PollLog("c0"))
    for _ in range(5):
        assert seconds_until_retry(often, TRANSIENT) <= 0.1


@pytest.mark.parametrize("error", [None, PERMANENT, BadSnapshot("empty"), SourceError("busy")])
def test_the_next_poll_is_at_the_next_due_time(
    scheduled: _ScheduledCatalog, error: Error | None
) -> None:
    """Also after an error that waiting does not mend."""
    start = clock.now()
    due = scheduled.schedule_next(start, error)
    assert due == scheduled.due == schedule.next_due("c0", 10 * HOUR, start)
    assert scheduled.longest_wait == due - start


def test_a_source_may_ask_for_a_longer_wait(scheduled: _ScheduledCatalog) -> None:
    """It is longer than the interval here."""
    start = clock.now()
    due = scheduled.schedule_next(start, SourceError("busy", not_before=10**6))
    assert due == scheduled.due == start + timedelta(seconds=10**6)


def test_a_clock_that_is_set_back_delays_no_poll(
    scheduled: _ScheduledCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is polled after the interval at the latest."""
    now = clock.now()
    scheduled.wait_until(now + HOUR, now)
    monkeypatch.setattr(clock, "now", lambda: now - 24 * HOUR)
    assert scheduled.seconds_left == 3600
    monkeypatch.setattr(clock, "now", lambda: now + HOUR / 2)
    assert scheduled.seconds_left == 1800
