"""The daemon of `category-publisher run`: polls the catalogs whose leases it holds.

Each of them has a task of its own, so that one slow or failing catalog never delays another.
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

STARTS_A_SECOND: Final = 10
"""Catalogs polled a second after a start, though not due: who starts a daemon wants to see it work,
but a restart must not ask for ten thousand trees at once."""
BEGINS_A_SECOND: Final = 100
"""Catalogs that are begun with a second, however many are due: a poll takes some 10 ms of processor
time, so more would only fill the memory with polls that wait for one another."""
SOONEST, LATEST = 1.0, 60.0
"""Seconds after which a poll that failed of what passes in Redis is tried again: more and more."""
STOP_SECONDS: Final = 20.0
"""What a poll may take to be abandoned: the longest is a refresh of tokens, which is not broken
off."""
HAND_BACK_SECONDS: Final = 5.0


class FinishedPoll(NamedTuple):
    """A poll that has ended: either `polled` or `error`."""

    catalog: str
    seconds: float
    polled: PollResult | None
    error: Exception | None


class PollObserver(Protocol):
    """Whoever wants to know what the daemon does, such as the metrics."""

    def polled(self, done: FinishedPoll) -> None:
        """Take note of a poll that has ended."""
        ...

    def redis_failed(self, error: RedisError) -> None:
        """Take note that the leases could not be looked at."""
        ...


@dataclass(slots=True)
class _ScheduledCatalog:
    """One catalog in this process."""

    catalog: Catalog
    teller: PollLog
    due: datetime = field(default_factory=clock.now)
    longest: timedelta = timedelta()
    """What there may be to wait for `due`: a clock that was set back must not make it more."""
    task: asyncio.Task[None] | None = None
    failures: int = 0
    """Polls in a row that failed of what passes in Redis."""

    @property
    def is_idle(self) -> bool:
        return self.task is None or self.task.done()

    def wait(self, due: datetime, now: datetime) -> None:
        """Be due then, which is so long after `now`, whatever the clock says later."""
        self.due, self.longest = due, due - now

    @property
    def seconds_left(self) -> float:
        """What is left of the wait."""
        return min(self.due - clock.now(), self.longest).total_seconds()


class Daemon:
    """Keeps catalogs in sync, as long as `run` is awaited and their leases are held."""

    def __init__(
        self,
        server: Server,
        client: Client,
        leases: Leases,
        catalogs: Mapping[str, Catalog],
        watcher: PollObserver,
    ) -> None:
        self.server = server
        self.client = client
        self.leases = leases
        self.ready = asyncio.Event()
        """Set once the leases could be looked at."""
        self._watcher = watcher
        self._kept = {name: _kept(catalog) for name, catalog in catalogs.items()}
        self._leaving: set[str] = set()
        self._look_now = asyncio.Event()
        self._outages = OutageLog()
        self.lease_error = ""
        """Why the last look at the leases failed; empty if it did not."""

    @property
    def catalogs(self) -> dict[str, Catalog]:
        """The catalogs of the configuration, by name."""
        return {name: kept.catalog for name, kept in self._kept.items()}

    def late(self) -> list[str]:
        """Return the catalogs polled here whose poll is overdue."""
        now = clock.now()
        return [
            name
            for name, kept in self._kept.items()
            if not kept.is_idle and now - kept.due > schedule.OVERDUE
        ]

    def replace(self, catalogs: Mapping[str, Catalog], gone: Iterable[str]) -> None:
        """Take over `catalogs`, new or with new settings, and let go of those that are `gone`.

        They are polled at once; a poll of the old ones that is under way is abandoned.
        """
        for name in [*catalogs, *gone]:
            if old := self._kept.pop(name, None):
                _cancel(old)
        self._leaving |= set(gone)
        self._kept |= {name: _kept(catalog) for name, catalog in catalogs.items()}
        for rank, name in enumerate(catalogs.keys() & self.leases.held()):
            self._start(name, clock.now(), rank)
        self._look_now.set()

    async def run(self) -> NoReturn:
        """Poll for ever. When cancelled, abandon what is under way and hand back the leases."""
        try:
            started = clock.now()
            while True:
                await self._round(started)
                await self._pause()
        finally:
            await self._stop()

    async def _pause(self) -> None:
        self._look_now.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.leases.round_every.total_seconds()):
                await self._look_now.wait()

    async def _round(self, started: datetime) -> None:
        """Look at the leases, and poll the catalogs of those that are held."""
        fresh: dict[str, dict[str, str]] = {}
        try:
            with self.server.explain_errors():
                await self.leases.release(leaving := set(self._leaving))
                self._leaving -= leaving
                await self.leases.round(self._kept)
                fresh = await read_statuses(self.client, self._idle())
        except RedisError as error:
            self._watcher.redis_failed(error)
            self._outages.failed(LEASES, error)
            self.lease_error = str(error)
        else:
            self._outages.passed(LEASES)
            self.lease_error = ""
        held = self.leases.held()
        self._outages.only({LEASES, *held})
        for name in self._kept.keys() - held:
            _cancel(self._kept[name])
        self._begin(fresh, started)
        if not self.lease_error:
            self.ready.set()

    def _begin(self, fresh: Mapping[str, Mapping[str, str]], started: datetime) -> None:
        """Begin to poll those of `fresh` that still nobody polls; each has its last status.

        What waits longest comes first: a lease may change hands again and again before its turn.
        """
        now = clock.now()
        dues = {
            name: schedule.first_due(self._kept[name].catalog.poll_every, fresh[name], now)
            for name in fresh.keys() & set(self._idle())
        }
        order = sorted(dues, key=lambda name: (dues[name], fresh[name].get("polled_at", "")))
        for rank, name in enumerate(order):
            at_start = started + timedelta(seconds=rank / STARTS_A_SECOND)
            due = dues[name] if self.ready.is_set() else min(dues[name], at_start)
            self._start(name, due, rank)

    def _idle(self) -> list[str]:
        """Return the catalogs whose leases are held, but which nobody polls yet."""
        held = self.leases.held()
        return [name for name, kept in self._kept.items() if name in held and kept.is_idle]

    def _start(self, name: str, due: datetime, rank: int) -> None:
        """Begin to poll `name`, the `rank`th of those that are begun with now."""
        kept = self._kept[name]
        now = clock.now()
        kept.wait(max(due, now + timedelta(seconds=rank / BEGINS_A_SECOND)), now)
        kept.task = asyncio.create_task(self._keep_in_sync(kept), name=f"catalog {name}")

    async def _keep_in_sync(self, kept: _ScheduledCatalog) -> None:
        while True:
            await asyncio.sleep(kept.seconds_left)
            if not self.leases.holds(kept.catalog.name):
                return  # this process slept, or Redis was away; the next round decides
            await self._one_poll(kept)

    async def _one_poll(self, kept: _ScheduledCatalog) -> None:
        name, begin = kept.catalog.name, time.monotonic()
        polled: PollResult | None = None
        failure: Exception | None = None
        refusals: list[RedisError] = []
        now = clock.now()
        kept.wait(schedule.next_due(name, kept.catalog.poll_every, now), now)
        try:
            polled = await poll_and_record(
                kept.catalog,
                self.server,
                due=lambda *at: _due(kept, *at),
                unwritten=refusals.append,
            )
            kept.teller.polled(polled)
        except RedisError as error:
            failure = error
            refusals.append(error)
        except Error as error:
            failure = error
            kept.teller.failed(str(error))
        except Exception as error:  # a bug of ours must not end the daemon, which serves others
            failure = error
            log.exception("poll ended unexpectedly", catalog=name)
        self._tell_redis(name, refusals)
        self._watcher.polled(FinishedPoll(name, time.monotonic() - begin, polled, failure))

    def _tell_redis(self, name: str, refusals: list[RedisError]) -> None:
        if not refusals:
            self._outages.passed(name)
        for error in refusals:
            self._outages.failed(name, error)

    async def _stop(self) -> None:
        tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
        for kept in self._kept.values():
            _cancel(kept)
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        try:
            with self.server.explain_errors():
                async with asyncio.timeout(HAND_BACK_SECONDS):
                    await self.leases.release(self._kept)
        except (RedisError, TimeoutError) as error:
            reason = str(error) or f"Redis did not answer within {HAND_BACK_SECONDS:.0f} s"
            log.warning("leases were not handed back, they end by themselves", error=reason)


def _kept(catalog: Catalog) -> _ScheduledCatalog:
    return _ScheduledCatalog(catalog, PollLog(catalog.name))


def _cancel(kept: _ScheduledCatalog) -> None:
    if kept.task is not None:
        kept.task.cancel()


def _due(kept: _ScheduledCatalog, begun: datetime, error: Error | None) -> datetime:
    """Decide when a catalog is polled again, and keep that in mind."""
    catalog = kept.catalog
    if isinstance(error, RedisError) and error.is_transient:
        seconds = backoff_seconds(kept.failures, SOONEST, LATEST)
        kept.failures += 1
        now = clock.now()
        kept.wait(now + min(timedelta(seconds=seconds), catalog.poll_every), now)
    else:
        kept.failures = 0
        due = schedule.next_due(catalog.name, catalog.poll_every, begun)
        kept.wait(max(due, earliest_retry(begun, error)), begun)
    return kept.due
