"""The daemon of `run`: polls the catalogs whose leases it holds.

Each catalog has a task of its own, so that a slow or failing catalog does not delay the others.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, NoReturn, Protocol

from plumbing import clock, logs
from plumbing.errors import Error, RedisError
from plumbing.outage_retry import backoff_seconds
from plumbing.redis.server import Client, Server
from publisher.core import schedule
from publisher.polling.leases import Leases
from publisher.polling.poll import Catalog, PollResult
from publisher.polling.poll_log import LEASES, OutageLog, PollLog
from publisher.polling.recorded_poll import earliest_retry, poll_and_record
from publisher.status.overview import read_statuses

log = logs.logger(__name__)

EARLY_POLLS_A_SECOND: Final = 10
"""After a start catalogs are polled at this rate before they are due, to show the user that polling
works; but a restart must not fetch ten thousand trees at once."""
POLLS_A_SECOND: Final = 100
"""The rate at which polls are started, however many are due. A poll takes about 10 ms of processor
time, so more would only fill the memory with polls that wait for each other."""
FIRST_RETRY, LATEST_RETRY = 1.0, 60.0
"""Seconds after which a poll is repeated that failed because of a transient error of Redis."""
STOP_SECONDS: Final = 20.0
"""How long polls may take to end after they are cancelled. A refresh of tokens takes the longest,
since it is not interrupted."""
RELEASE_SECONDS: Final = 5.0


class FinishedPoll(NamedTuple):
    """A poll that has ended, with either a `result` or an `error`."""

    catalog: str
    seconds: float
    result: PollResult | None
    error: Exception | None


class PollObserver(Protocol):
    """Observes polls and failures of the daemon, as the metrics do."""

    def poll_finished(self, poll: FinishedPoll) -> None:
        """Count a poll that has ended."""

    def redis_failed(self, error: RedisError) -> None:
        """Count a round of the leases that failed."""


@dataclass(slots=True)
class _ScheduledCatalog:
    """A catalog of the configuration, and when this process polls it."""

    catalog: Catalog
    log: PollLog
    due: datetime = field(default_factory=clock.now)
    longest_wait: timedelta = timedelta()
    """Limits the wait for `due`, which may be far away if the clock is set back."""
    task: asyncio.Task[None] | None = None
    redis_failures: int = 0
    """Polls in a row that failed because of a transient error of Redis."""

    @property
    def is_idle(self) -> bool:
        return self.task is None or self.task.done()

    @property
    def seconds_left(self) -> float:
        """Seconds until the catalog is due."""
        return min(self.due - clock.now(), self.longest_wait).total_seconds()

    def wait_until(self, due: datetime, now: datetime) -> None:
        self.due, self.longest_wait = due, due - now

    def schedule_next(self, started_at: datetime, error: Error | None) -> datetime:
        """Set and return when the catalog is due after a poll, which `error` ended."""
        every = self.catalog.poll_every
        if isinstance(error, RedisError) and error.is_transient:
            seconds = backoff_seconds(self.redis_failures, FIRST_RETRY, LATEST_RETRY)
            self.redis_failures += 1
            now = clock.now()
            self.wait_until(now + min(timedelta(seconds=seconds), every), now)
        else:
            self.redis_failures = 0
            due = schedule.next_due(self.catalog.name, every, started_at)
            self.wait_until(max(due, earliest_retry(started_at, error)), started_at)
        return self.due

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class Daemon:
    """Keeps the catalogs whose leases it holds in sync, while `run` is awaited."""

    def __init__(
        self,
        server: Server,
        client: Client,
        leases: Leases,
        catalogs: Mapping[str, Catalog],
        observer: PollObserver,
    ) -> None:
        self.server = server
        self.client = client
        self.leases = leases
        self.ready = asyncio.Event()
        """Set once a round of the leases has succeeded."""
        self.lease_error = ""
        """Why the last round of the leases failed; empty if it succeeded."""
        self._observer = observer
        self._scheduled = _schedule(catalogs)
        self._removed: set[str] = set()
        """Catalogs that left the configuration, but whose leases are not released yet."""
        self._wake = asyncio.Event()
        self._outages = OutageLog()

    @property
    def catalogs(self) -> dict[str, Catalog]:
        """The catalogs of the configuration, by name."""
        return {name: scheduled.catalog for name, scheduled in self._scheduled.items()}

    def overdue(self) -> list[str]:
        """Return the catalogs polled here whose poll is overdue."""
        now = clock.now()
        return [
            name
            for name, scheduled in self._scheduled.items()
            if not scheduled.is_idle and now - scheduled.due > schedule.OVERDUE
        ]

    def replace(self, catalogs: Mapping[str, Catalog], removed: Iterable[str]) -> None:
        """Add `catalogs`, which are new or have new settings, and drop those `removed`.

        The former are polled at once. A running poll of any of them is cancelled.
        """
        for name in [*catalogs, *removed]:
            if old := self._scheduled.pop(name, None):
                old.cancel()
        self._removed |= set(removed)
        self._scheduled |= _schedule(catalogs)
        for index, name in enumerate(catalogs.keys() & self.leases.held()):
            self._start(name, clock.now(), earlier_starts=index)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Poll until cancelled; then cancel running polls and release the leases."""
        try:
            daemon_start = clock.now()
            while True:
                await self._round(daemon_start)
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.leases.round_every.total_seconds()):
                        await self._wake.wait()
        finally:
            await self._stop()

    async def _round(self, daemon_start: datetime) -> None:
        """Renew the leases, and start to poll the catalogs whose leases are new."""
        new: dict[str, dict[str, str]] = {}
        try:
            with self.server.explain_errors():
                await self.leases.release(removed := set(self._removed))
                self._removed -= removed
                await self.leases.round(self._scheduled)
                new = await read_statuses(self.client, self._names_without_task())
        except RedisError as error:
            self._observer.redis_failed(error)
            self._outages.failed(LEASES, error)
            self.lease_error = str(error)
        else:
            self._outages.recovered(LEASES)
            self.lease_error = ""
        held = self.leases.held()
        self._outages.keep_only({LEASES, *held})
        for name in self._scheduled.keys() - held:
            self._scheduled[name].cancel()
        self._start_all(new, daemon_start)
        if not self.lease_error:
            self.ready.set()

    def _names_without_task(self) -> list[str]:
        """Return the catalogs whose leases are held, but which have no task yet."""
        held = self.leases.held()
        return [name for name, each in self._scheduled.items() if name in held and each.is_idle]

    def _start_all(self, statuses: Mapping[str, Mapping[str, str]], daemon_start: datetime) -> None:
        """Start to poll the catalogs in `statuses`, unless `replace` has started them.

        The catalog that waits the longest comes first, since a lease may move to another publisher
        again and again before the catalog is polled.
        """
        now = clock.now()
        dues = {
            name: schedule.first_due(self._scheduled[name].catalog.poll_every, statuses[name], now)
            for name in statuses.keys() & set(self._names_without_task())
        }
        order = sorted(dues, key=lambda name: (dues[name], statuses[name].get("polled_at", "")))
        for index, name in enumerate(order):
            early = daemon_start + timedelta(seconds=index / EARLY_POLLS_A_SECOND)
            due = dues[name] if self.ready.is_set() else min(dues[name], early)
            self._start(name, due, earlier_starts=index)

    def _start(self, name: str, due: datetime, *, earlier_starts: int) -> None:
        """Start the task of `name`, after `earlier_starts` others of the same round."""
        scheduled = self._scheduled[name]
        now = clock.now()
        scheduled.wait_until(
            max(due, now + timedelta(seconds=earlier_starts / POLLS_A_SECOND)), now
        )
        scheduled.task = asyncio.create_task(self._keep_in_sync(scheduled), name=f"catalog {name}")

    async def _keep_in_sync(self, scheduled: _ScheduledCatalog) -> None:
        while True:
            await asyncio.sleep(scheduled.seconds_left)
            if not self.leases.holds(scheduled.catalog.name):
                return  # this process slept, or Redis was unavailable; the next round decides
            await self._poll(scheduled)

    async def _poll(self, scheduled: _ScheduledCatalog) -> None:
        """Poll once, and report the result or the error to the logs and to the observer."""
        name, monotonic_start = scheduled.catalog.name, time.monotonic()
        result: PollResult | None = None
        failure: Exception | None = None
        redis_errors: list[RedisError] = []
        now = clock.now()
        # A poll that ends in a bug of ours schedules no other, so that is done beforehand.
        scheduled.wait_until(schedule.next_due(name, scheduled.catalog.poll_every, now), now)
        try:
            result = await poll_and_record(
                scheduled.catalog,
                self.server,
                next_due=scheduled.schedule_next,
                on_unwritten=redis_errors.append,
            )
            scheduled.log.poll_succeeded(result)
        except RedisError as error:
            failure = error
            redis_errors.append(error)
        except Error as error:
            failure = error
            scheduled.log.poll_failed(str(error))
        except Exception as error:  # a bug of ours must not stop the other catalogs
            failure = error
            log.exception("poll ended unexpectedly", catalog=name)
        for redis_error in redis_errors:
            self._outages.failed(name, redis_error)
        if not redis_errors:
            self._outages.recovered(name)
        seconds = time.monotonic() - monotonic_start
        self._observer.poll_finished(FinishedPoll(name, seconds, result, failure))

    async def _stop(self) -> None:
        for scheduled in self._scheduled.values():
            scheduled.cancel()
        tasks = [each.task for each in self._scheduled.values() if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        try:
            with self.server.explain_errors():
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self.leases.release(self._scheduled)
        except (RedisError, TimeoutError) as error:
            reason = str(error) or f"Redis did not answer within {RELEASE_SECONDS:.0f} s"
            log.warning("leases not released, they expire", error=reason)


def _schedule(catalogs: Mapping[str, Catalog]) -> dict[str, _ScheduledCatalog]:
    return {name: _ScheduledCatalog(catalog, PollLog(name)) for name, catalog in catalogs.items()}
