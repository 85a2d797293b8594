"""A daemon on fakeredis whose rounds and polls a test makes one by one."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import redis.asyncio

from plumbing import clock
from plumbing.errors import RedisError
from plumbing.redis.server import Server
from publisher.polling.daemon import Daemon, FinishedPoll
from publisher.polling.leases import Leases
from publisher.polling.poll import Catalog
from publisher.sources import Answer
from publisher.state.store import Store
from tests.support.catalogs import make_catalog

HOUR: Final = timedelta(hours=1)
TREE: Final = b'[{"id":"1","parent_id":"0","local_name":"Home","is_leaf":true}]'
SERVER: Final = Server("redis://test")


class ScriptedLeases(Leases):
    """Leases that count their rounds, keep what they release, and fail with `error`."""

    error: Exception | None = None
    rounds = 0

    def __init__(self, client: redis.asyncio.Redis) -> None:
        super().__init__(client, HOUR)
        self.released: list[set[str]] = []

    async def round(self, names: Iterable[str]) -> None:
        """Do a round, or fail."""
        self.rounds += 1
        if self.error is not None:
            raise self.error
        await super().round(names)

    async def release(self, names: Iterable[str]) -> None:
        """Keep the names, and release their leases or fail."""
        self.released.append(set(names))
        if self.error is not None:
            raise self.error
        await super().release(names)


class SteppedDaemon(Daemon):
    """A daemon that records when the polls that it starts are due, and its reports."""

    def __init__(self, client: redis.asyncio.Redis, of: Mapping[str, Catalog]) -> None:
        self.own_leases = ScriptedLeases(client)
        self.starts: dict[str, datetime] = {}
        self.polls: list[FinishedPoll] = []
        self.redis_errors: list[RedisError] = []
        super().__init__(SERVER, client, self.own_leases, of, self)

    def _start(self, name: str, due: datetime, *, earlier_starts: int) -> None:
        super()._start(name, due, earlier_starts=earlier_starts)
        assert name not in self.starts
        self.starts[name] = self._scheduled[name].due

    def poll_finished(self, poll: FinishedPoll) -> None:
        """Keep it."""
        self.polls.append(poll)

    def redis_failed(self, error: RedisError) -> None:
        """Keep it."""
        self.redis_errors.append(error)

    async def round(self) -> None:
        """Do one round, as `run` does."""
        await self._round(clock.now())

    def running(self) -> set[str]:
        """Return the catalogs that have a task."""
        return {name for name, each in self._scheduled.items() if not each.is_idle}


class ScriptedFetch:
    """A source that raises `error`, or answers once `gate` is set."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()

    async def fetch(self) -> Answer:
        """Return a tree of one category."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        return Answer(TREE, bare_list=True)


def catalogs(client: redis.asyncio.Redis, count: int) -> dict[str, Catalog]:
    """Return `count` catalogs whose sources do not answer."""
    return {
        name: make_catalog(Store(client, name), ScriptedFetch(), poll_every=HOUR)
        for name in (f"c{number}" for number in range(count))
    }


def fetch_of(catalog: Catalog) -> ScriptedFetch:
    """Return the source of `catalog`."""
    assert isinstance(catalog.source, ScriptedFetch)
    return catalog.source
