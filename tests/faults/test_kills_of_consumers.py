"""A consumer is killed at every point: data and checkpoint change together.

The points are the statements that change something and the commits, of each projection in each
database. For the mirror in SQLite also all commands and replies of Redis, on both servers: they do
not depend on the database or the projection.
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
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey

KILLED: Final = -9
Work: TypeAlias = Literal["a first reset", "a batch of events", "a resync"]
CHECKPOINT: Final[dict[Work, str]] = {
    "a first reset": "after INSERT INTO checkpoints",
    "a batch of events": "after UPDATE checkpoints",
    "a resync": "after UPDATE checkpoints",
}
"""A point that proves that the work was done."""
RESYNCED: Final = "resynced"
"""What a consumer logs after each reset."""


@dataclass(frozen=True)
class Backups:
    """Backups of a catalog: after its import, some commits later, after a repair."""

    first: Backup
    later: Backup
    repaired: Backup

    def goal(self, work: Work) -> Backup:
        """Return the backup that the consumer must reach by `work`."""
        return self.repaired if work == "a resync" else self.later


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Postgres | MariaDb | None:
    """Return a database server, or None for SQLite."""
    if request.param == "sqlite":
        return None
    server: Postgres | MariaDb = request.getfixturevalue(request.param)
    return server


works = pytest.mark.parametrize("work", get_args(Work))


@works
async def test_every_point(
    work: Work, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """After each kill the rows are those of the checkpoint; the rest comes once."""
    await _kill_everywhere(MIRROR, work, None, server, folder, results, seed, redis=True)


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
    """The same in each database, before and after each change and commit."""
    await _kill_everywhere(kind, work, engine, server, folder, results, seed, redis=False)


async def _kill_everywhere(
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
        trials = KillTrials(system, kind, work, engine, await publish_backups(system), redis=redis)
        alone = await trials.start(last=0)
        assert await alone.wait_async() == 0, alone.err
        assert alone.err.count(RESYNCED) == (work != "a batch of events"), alone.err
        points = kill_points.points(alone.logs, among={CHECKPOINT[work], "before COMMIT"})
        for number, point in enumerate(points, 1):
            process = await trials.start(last=number)
            assert await process.wait_async() == KILLED, process.err
            assert kill_points.points(process.logs)[-1] == point
            await trials.recover(process)
        system.source.serve_tree(system.checker.tree)
        verdict = await system.verdict()
    where = f"{kind.name} in {type(engine).__name__ if engine else 'SQLite'}"
    what = "every point" if redis else "every change and commit"
    fault = f"{where} killed at {what} of {work}"
    results.record(fault, verdict, runs=len(points), seed=seed)


@dataclass
class KillTrials:
    """Repeats the work of one projection, each time from the same start."""

    system: System
    kind: ProjectionKind
    work: Work
    engine: Postgres | MariaDb | None
    keys: Backups
    redis: bool
    """Whether points of Redis count as well."""
    runs: int = 0

    async def start(self, *, last: int) -> Process:
        """Start the work in a process that is killed at its point `last`."""
        self.runs += 1
        self.projection = ProjectionChecker(
            self.kind, await self._new_database(), self.system.checker
        )
        if self.work != "a first reset":
            await restore_keys(self.system, self.keys.first)
            await self._catch_up()
        await restore_keys(self.system, self.keys.goal(self.work))
        armed = partial(kill_points.arm, last=last, redis=self.redis)
        return self.system.consumer(
            self.projection, "--once", before=lambda folder: partial(armed, folder)
        )

    async def recover(self, killed: Process) -> None:
        """Check what the kill left, finish the work, and check again."""
        await self.projection.check()
        begin = time.monotonic()
        process = self.system.consumer(self.projection, "--once")
        assert await process.wait_async() == 0, process.err
        self.system.longest_recovery = max(self.system.longest_recovery, time.monotonic() - begin)
        await self.projection.final_check()
        if self.work == "a batch of events":
            assert RESYNCED not in killed.err + process.err
            await self._check_no_resync()
        if self.engine:
            await self.engine.give_back(self.projection.url)

    async def _check_no_resync(self) -> None:
        """Check that the history has no resync but that of `_catch_up`."""
        if self.kind is HISTORY:
            assert await fetch(self.projection.url, "SELECT COUNT(*) FROM history_resyncs") == [
                (1,)
            ]

    async def _catch_up(self) -> None:
        """Do what `--once` does, in this process: it only prepares the work."""
        async with (
            open_database(self.projection.url) as store,
            connect(Server(self.system.consumer_redis), "us", once=True) as events,
        ):
            projection = projections.KINDS[self.kind.name](store, "us")
            await run_projection(projection, Reader(events, self.kind.name, once=True))

    async def _new_database(self) -> str:
        if self.engine:
            return await self.engine.new()
        return f"sqlite:///{self.system.folder}/{self.runs}.sqlite"


async def publish_backups(system: System) -> Backups:
    """Publish, publish more, repair, and return the backups."""
    keys = []
    for damaged in (False, False, True):
        if damaged:
            system.checker.allow_break("meta is lost", by_hand=True)
            execute_on(system.server, "DEL", "catalog:{us}:meta")
        for _ in range(2):
            assert await system.publisher("sync").wait_async() == 0
            await system.checker.check()
            system.source.change(system.rng)
        keys.append(await redis_backup.take(system.client))
    return Backups(*keys)


async def restore_keys(system: System, keys: Backup) -> None:
    """Restore the keys of a backup, and tell the checker."""
    system.checker.allow_break("the same beginning again")
    await redis_backup.restore(system.client, keys)
    await system.checker.check()
    system.checker.end_break()
