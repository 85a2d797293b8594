"""A consumer is killed at every point of its work: data and checkpoint are of one transaction.

The points are the statements that change something and the commits, of each projection in each
database; and of the mirror in SQLite all commands and replies of Redis, too, on both servers: those
depend neither on the database nor on the projection.
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import pytest

from consumers import projection_kinds as projections
from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.sql.database import open_database
from plumbing.redis.server import Server
from tests.faults import redis_backup
from tests.faults.processes import Process
from tests.faults.projection_checker import (
    HISTORY,
    KINDS,
    MIRROR,
    ProjectionChecker,
    ProjectionKind,
)
from tests.faults.redis_backup import Backup
from tests.faults.results_table import ResultsRecorder
from tests.faults.system import System, open_system
from tests.support import kill_points
from tests.support.databases import MariaDb, Postgres, fetch
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey

KILLED: Final = -9
Work: TypeAlias = Literal["a first reset", "a batch of events", "a resync"]
CHECKPOINT: Final[dict[Work, str]] = {
    "a first reset": "after INSERT INTO checkpoints",
    "a batch of events": "after UPDATE checkpoints",
    "a resync": "after UPDATE checkpoints",
}
"""A point of each work without which it was another one."""
RESYNCED: Final = "resynced"
"""What a consumer logs after each reset."""


@dataclass(frozen=True)
class Keys:
    """A catalog after its first import, some commits later, and later still in a new epoch."""

    first: Backup
    later: Backup
    anew: Backup

    def wanted(self, work: Work) -> Backup:
        """Return what the consumer has to get to by `work`."""
        return self.anew if work == "a resync" else self.later


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Postgres | MariaDb | None:
    """Give a database server, or None for SQLite."""
    if request.param == "sqlite":
        return None
    server: Postgres | MariaDb = request.getfixturevalue(request.param)
    return server


works = pytest.mark.parametrize("work", get_args(Work))


@works
async def test_every_point(
    work: Work, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """After each kill the rows are those of the checkpoint; then the rest comes, and once."""
    await _killed_everywhere(MIRROR, work, None, server, folder, results, seed, redis=True)


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
@works
async def test_every_change_in_a_database(
    kind: ProjectionKind,
    work: Work,
    engine: Postgres | MariaDb | None,
    server: Valkey,
    folder: Path,
    results: ResultsRecorder,
    seed: int,
) -> None:
    """So it is in each database, before and after each change and commit."""
    await _killed_everywhere(kind, work, engine, server, folder, results, seed, redis=False)


async def _killed_everywhere(
    kind: ProjectionKind,
    work: Work,
    engine: Postgres | MariaDb | None,
    server: Valkey,
    folder: Path,
    results: ResultsRecorder,
    seed: int,
    *,
    redis: bool,
) -> None:
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        stage = Stage(system, kind, work, engine, await published(system), redis=redis)
        alone = await stage.begun(last=0)
        assert await alone.wait_async() == 0, alone.err
        assert alone.err.count(RESYNCED) == (work != "a batch of events"), alone.err
        points = kill_points.points(alone.logs, among={CHECKPOINT[work], "before COMMIT"})
        for number, point in enumerate(points, 1):
            process = await stage.begun(last=number)
            assert await process.wait_async() == KILLED, process.err
            assert kill_points.points(process.logs)[-1] == point
            await stage.recovers(process)
        system.source.serve_tree(system.checker.tree)
        verdict = await system.verdict()
    where = f"{kind.name} in {type(engine).__name__ if engine else 'SQLite'}"
    what = "every point" if redis else "every change and commit"
    fault = f"{where} killed at {what} of {work}"
    results.record(fault, verdict, runs=len(points), seed=seed)


@dataclass
class Stage:
    """One projection that does one piece of work, again and again from the same beginning."""

    system: System
    kind: ProjectionKind
    work: Work
    engine: Postgres | MariaDb | None
    keys: Keys
    redis: bool
    """Whether the points of Redis count, too."""
    runs: int = 0

    async def begun(self, *, last: int) -> Process:
        """Have the work begun, by a process that ends at its point `last`."""
        self.runs += 1
        self.projection = ProjectionChecker(self.kind, await self._new(), self.system.checker)
        if self.work != "a first reset":
            await have(self.system, self.keys.first)
            await self._catch_up()
        await have(self.system, self.keys.wanted(self.work))
        armed = partial(kill_points.arm, last=last, redis=self.redis)
        return self.system.consumer(
            self.projection, "--once", before=lambda folder: partial(armed, folder)
        )

    async def recovers(self, killed: Process) -> None:
        """Judge what was left behind, do the rest, and judge that: events are enough for events."""
        await self.projection.check()
        begin = time.monotonic()
        process = self.system.consumer(self.projection, "--once")
        assert await process.wait_async() == 0, process.err
        self.system.longest_recovery = max(self.system.longest_recovery, time.monotonic() - begin)
        await self.projection.final_check()
        if self.work == "a batch of events":
            assert RESYNCED not in killed.err + process.err
            await self._followed()
        if self.engine:
            await self.engine.give_back(self.projection.url)

    async def _followed(self) -> None:
        """Find no resync in the history but that of `_catch_up`."""
        if self.kind is HISTORY:
            assert await fetch(self.projection.url, "SELECT COUNT(*) FROM history_resyncs") == [
                (1,)
            ]

    async def _catch_up(self) -> None:
        """Do what `--once` does, here: that is only the beginning."""
        async with (
            open_database(self.projection.url) as store,
            connect(Server(self.system.consumer_redis), "us", once=True) as events,
        ):
            projection = projections.KINDS[self.kind.name](store, "us")
            await run_projection(projection, Reader(events, self.kind.name, once=True))

    async def _new(self) -> str:
        if self.engine:
            return await self.engine.new()
        return f"sqlite:///{self.system.folder}/{self.runs}.sqlite"


async def published(system: System) -> Keys:
    """Publish, publish more, and repair."""
    keys = []
    for damaged in (False, False, True):
        if damaged:
            system.checker.allow_break("meta is lost", by_hand=True)
            asked(system.server, "DEL", "catalog:{us}:meta")
        for _ in range(2):
            assert await system.publisher("sync").wait_async() == 0
            await system.checker.check()
            system.source.change(system.rng)
        keys.append(await redis_backup.take(system.client))
    return Keys(*keys)


async def have(system: System, keys: Backup) -> None:
    """Have these keys, and let the judge know."""
    system.checker.allow_break("the same beginning again")
    await redis_backup.restore(system.client, keys)
    await system.checker.check()
    system.checker.end_break()
