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
from tests.faults import backup
from tests.faults.backup import Backup
from tests.faults.copies import HISTORY, KINDS, MIRROR, Copy, Kind
from tests.faults.processes import Process
from tests.faults.results_table import Book
from tests.faults.world import World, opened
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
async def test_every_point(work: Work, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """After each kill the rows are those of the checkpoint; then the rest comes, and once."""
    await _killed_everywhere(MIRROR, work, None, server, folder, book, seed, redis=True)


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
@works
async def test_every_change_in_a_database(
    kind: Kind,
    work: Work,
    engine: Postgres | MariaDb | None,
    server: Valkey,
    folder: Path,
    book: Book,
    seed: int,
) -> None:
    """So it is in each database, before and after each change and commit."""
    await _killed_everywhere(kind, work, engine, server, folder, book, seed, redis=False)


async def _killed_everywhere(
    kind: Kind,
    work: Work,
    engine: Postgres | MariaDb | None,
    server: Valkey,
    folder: Path,
    book: Book,
    seed: int,
    *,
    redis: bool,
) -> None:
    async with opened(folder, server, seed=seed, kinds=(), watched=False) as world:
        stage = Stage(world, kind, work, engine, await published(world), redis=redis)
        alone = await stage.begun(last=0)
        assert await alone.ended() == 0, alone.err
        assert alone.err.count(RESYNCED) == (work != "a batch of events"), alone.err
        points = kill_points.points(alone.logs, among={CHECKPOINT[work], "before COMMIT"})
        for number, point in enumerate(points, 1):
            process = await stage.begun(last=number)
            assert await process.ended() == KILLED, process.err
            assert kill_points.points(process.logs)[-1] == point
            await stage.recovers(process)
        world.upstream.becomes(world.checker.tree)
        verdict = await world.verdict()
    where = f"{kind.name} in {type(engine).__name__ if engine else 'SQLite'}"
    what = "every point" if redis else "every change and commit"
    fault = f"{where} killed at {what} of {work}"
    book.ran(fault, verdict, runs=len(points), seed=seed)


@dataclass
class Stage:
    """One projection that does one piece of work, again and again from the same beginning."""

    world: World
    kind: Kind
    work: Work
    engine: Postgres | MariaDb | None
    keys: Keys
    redis: bool
    """Whether the points of Redis count, too."""
    runs: int = 0

    async def begun(self, *, last: int) -> Process:
        """Have the work begun, by a process that ends at its point `last`."""
        self.runs += 1
        self.copy = Copy(self.kind, await self._new(), self.world.checker)
        if self.work != "a first reset":
            await have(self.world, self.keys.first)
            await self._catch_up()
        await have(self.world, self.keys.wanted(self.work))
        armed = partial(kill_points.arm, last=last, redis=self.redis)
        return self.world.consumer(
            self.copy, "--once", before=lambda folder: partial(armed, folder)
        )

    async def recovers(self, killed: Process) -> None:
        """Judge what was left behind, do the rest, and judge that: events are enough for events."""
        await self.copy.look()
        begin = time.monotonic()
        process = self.world.consumer(self.copy, "--once")
        assert await process.ended() == 0, process.err
        self.world.longest = max(self.world.longest, time.monotonic() - begin)
        await self.copy.final()
        if self.work == "a batch of events":
            assert RESYNCED not in killed.err + process.err
            await self._followed()
        if self.engine:
            await self.engine.give_back(self.copy.url)

    async def _followed(self) -> None:
        """Find no resync in the history but that of `_catch_up`."""
        if self.kind is HISTORY:
            assert await fetch(self.copy.url, "SELECT COUNT(*) FROM history_resyncs") == [(1,)]

    async def _catch_up(self) -> None:
        """Do what `--once` does, here: that is only the beginning."""
        async with (
            open_database(self.copy.url) as store,
            connect(Server(self.world.consumer_redis), "us", once=True) as events,
        ):
            projection = projections.KINDS[self.kind.name](store, "us")
            await run_projection(projection, Reader(events, self.kind.name, once=True))

    async def _new(self) -> str:
        if self.engine:
            return await self.engine.new()
        return f"sqlite:///{self.world.folder}/{self.runs}.sqlite"


async def published(world: World) -> Keys:
    """Publish, publish more, and repair."""
    keys = []
    for damaged in (False, False, True):
        if damaged:
            world.checker.broken("meta is lost", by_hand=True)
            asked(world.server, "DEL", "catalog:{us}:meta")
        for _ in range(2):
            assert await world.publisher("sync").ended() == 0
            await world.checker.look()
            world.upstream.changes(world.chance)
        keys.append(await backup.taken(world.client))
    return Keys(*keys)


async def have(world: World, keys: Backup) -> None:
    """Have these keys, and let the judge know."""
    world.checker.broken("the same beginning again")
    await backup.put_back(world.client, keys)
    await world.checker.look()
    world.checker.whole()
