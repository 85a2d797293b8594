"""A mirror with all its checks beside a bare loop without any.

Catch-up (events of the stream into the tables) and reset (the whole state into empty tables), each
beside its floor (`bench.floor`), in turn, in one run. What is read was written by the real
publisher into the embedded server with its append-only file on; after every run what was written is
compared with what was published.

    .venv/bin/python -m bench.consuming --categories 100000 --events 100000 --runs 5
    .venv/bin/python -m bench.consuming --database postgresql
"""

import argparse
import asyncio
import itertools
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import redis
import structlog

from bench import floor, server
from bench.floor import CATALOG
from bench.measure import Samples, in_turn
from bench.report import Result, lines
from bench.works import CATCH_UP, RESET
from consumers.contract.model import Checkpoint, Snapshot
from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from plumbing.redis.server import Client, Server
from publisher.core.event import Position
from publisher.polling.cache import StateCache, open_cache
from publisher.polling.poll import poll_once
from publisher.sources import Answer
from publisher.state.commit import Commit
from publisher.state.store import Store
from tests.support.catalogs import make_catalog, make_limits
from tests.support.databases import MariaDb, Postgres, fetch

DATABASES = ("sqlite", "postgresql", "mariadb")
ANYTHING = make_limits(max_removed=1_000_000, max_updated=1_000_000)
"""The guard has nothing against whatever is published here."""

Row: TypeAlias = dict[str, Any]
Tree: TypeAlias = dict[str, Row]
Start: TypeAlias = tuple[Snapshot, Checkpoint] | None
"""What a run begins with; None is nothing."""
NewDatabase: TypeAlias = Callable[[], Awaitable[str]]
"""Makes an empty database and returns its URL."""


def main() -> None:
    """Measure, and print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--database", choices=DATABASES, default=DATABASES[0])
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(_measured(options.categories, options.events, options.runs, options.database))


async def _measured(categories: int, events: int, runs: int, name: str) -> None:
    found = [
        Result(CATCH_UP, events, await catch_up(categories, events, runs, name=name)),
        Result(RESET, categories, await reset(categories, runs, name=name)),
    ]
    if name != "sqlite":  # for which the bars are
        bars = [each.bar._replace(work=each.bar.work.replace("SQLite", name)) for each in found]
        found = [
            each._replace(bar=bar, is_judged=False) for each, bar in zip(found, bars, strict=True)
        ]
    print("\n".join(lines(found)))


async def catch_up(categories: int, events: int, runs: int, *, name: str = "sqlite") -> Samples:
    """Return the seconds that `events` take into a database of kind `name`, from the stream."""
    async with published() as shop, served(name, shop.folder) as new:
        await shop.publish(grown(categories))
        start = await shop.state()
        for number in itertools.count():
            left = events - await shop.events_since(start[1])
            if left == 0:
                break
            await shop.publish(edited(shop.tree, left, number))
        return await _timed(shop, new, start, runs)


async def reset(categories: int, runs: int, *, name: str = "sqlite") -> Samples:
    """Return the seconds that a state takes into empty tables of a database of kind `name`."""
    async with published() as shop, served(name, shop.folder) as new:
        await shop.publish(grown(categories))
        return await _timed(shop, new, None, runs)


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[Client]:
    """Have a client of `server`, for as long as the context lasts."""
    client = server.client()
    try:
        yield client
    finally:
        await client.aclose()


class Shop:
    """A catalog that the publisher keeps in step with `tree`, which is published by hand."""

    def __init__(self, folder: Path, url: str, client: Client, cache: StateCache) -> None:
        self.folder = folder
        self.url = url
        self.server = Server(url)
        self.client = client
        self.tree: Tree = {}
        self.store = TimedStore(client, CATALOG)
        self._catalog = make_catalog(self.store, self, limits=ANYTHING, state_cache=cache)

    async def fetch(self) -> Answer:
        """Be the publisher's source."""
        return Answer(orjson.dumps(list(self.tree.values())), bare_list=True)

    async def publish(self, tree: Tree) -> None:
        """Make `tree` the state."""
        self.tree = tree
        await poll_once(self._catalog)

    async def state(self) -> tuple[Snapshot, Checkpoint]:
        """Return the state as it is now, as a consumer sees it."""
        async with connect(self.server, CATALOG, once=True) as events:
            return await events.snapshot()

    async def place(self) -> tuple[str, ...]:
        """Return epoch, sequence and digest of the state as it is now."""
        fields = ("epoch", "sequence", "digest")
        meta: Any = await self.client.hmget(f"catalog:{{{CATALOG}}}:meta", fields)
        return tuple(value.decode() for value in meta)

    async def events_since(self, start: Checkpoint) -> int:
        """Return how many there are."""
        return int((await self.place())[1]) - start.sequence

    async def waited_for(self, *, readers: int) -> None:
        """Return when `readers` wait for an event."""
        while (await self.client.info("clients"))["blocked_clients"] < readers:
            await asyncio.sleep(0)


class TimedStore(Store):
    """Knows when the last commit `began`."""

    began = 0.0

    async def commit(self, commit: Commit) -> Position:
        """Commit."""
        self.began = time.perf_counter()
        return await super().commit(commit)


@asynccontextmanager
async def published() -> AsyncIterator[Shop]:
    """Have the embedded server running, and nothing published yet."""
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240  PostgreSQL runs as another user
        async with (
            server.running(folder) as url,
            client_of(Server(url)) as client,
            open_cache() as cache,
        ):
            yield Shop(folder, url, client, cache)


def grown(count: int) -> Tree:
    """Return a tree of `count` categories, one in a hundred a root."""
    roots = max(1, count // 100)
    rows = (
        _row(str(id_), f"Category {id_}", "0" if id_ <= roots else str(1 + id_ % roots))
        for id_ in range(1, count + 1)
    )
    return {row["id"]: row for row in rows}


def edited(old: Tree, events: int, number: int) -> Tree:
    """Return a tree to which at most `events` lead from `old`.

    Of ten, eight are updates, one an addition and one a removal.
    """
    leaves = [one for one in old.values() if one["parent_id"] != "0"]
    count = min(events, len(leaves))
    ends = count // 10
    new = dict(old)
    for one in leaves[:ends]:
        del new[one["id"]]
    for one in leaves[ends : count - ends]:
        new[one["id"]] = one | {"local_name": f"Renamed {number} {one['id']}"}
    for index in range(ends):
        id_ = f"9{number:06}{index:06}"
        new[id_] = _row(id_, f"Added {id_}", leaves[0]["parent_id"])
    return new


def _row(id_: str, local_name: str, parent_id: str) -> Row:
    is_leaf = parent_id != "0"
    return {"id": id_, "parent_id": parent_id, "local_name": local_name, "is_leaf": is_leaf}


async def _timed(shop: Shop, new: NewDatabase, start: Start, runs: int) -> Samples:
    """Measure mirror and bare loop, each in a database that begins at `start`."""

    async def run(work: Callable[[str], Awaitable[float]]) -> float:
        url = await new()
        await _prepare(url, start)
        seconds = await work(url)
        await _check(shop, url)
        return seconds

    async def ours(url: str) -> float:
        return await _mirrored(shop, url)

    async def bare(url: str) -> float:
        return await _looped(shop, url, start)

    return await in_turn(runs, lambda: run(ours), lambda: run(bare))


async def _prepare(url: str, start: Start) -> None:
    """Make the tables in `url`, and what they hold at the `start`."""
    async with open_database(url) as opened:
        mirror = Mirror(opened, CATALOG)
        await mirror.load()
        if start is not None:
            await mirror.reset(*start)


async def _mirrored(shop: Shop, url: str) -> float:
    async with (
        open_database(url) as opened,
        connect(shop.server, CATALOG, once=True) as events,
    ):
        begin = time.perf_counter()
        await run_projection(Mirror(opened, CATALOG), Reader(events, "mirror", once=True))
        return time.perf_counter() - begin


async def _looped(shop: Shop, url: str, start: Start) -> float:
    with redis.Redis.from_url(shop.url, protocol=2) as server:
        async with floor.opened(url) as opened:
            begin = time.perf_counter()
            if start is None:
                await floor.reset(server, opened)
            else:
                await floor.follow(server, opened, start[1].offset)
            return time.perf_counter() - begin


async def _check(shop: Shop, url: str) -> None:
    """Raise ValueError unless what was written is the publisher's state."""
    rows = await fetch(url, "SELECT id, parent_id, local_name, is_leaf FROM categories")
    found = {(*each[:3], bool(each[3])) for each in rows}
    marks = await fetch(url, "SELECT epoch, sequence, digest FROM checkpoints")
    wanted = {tuple(one.values()) for one in shop.tree.values()}
    if found != wanted or [tuple(map(str, each)) for each in marks] != [await shop.place()]:
        raise ValueError(f"{url}: what was written is not the state")


@asynccontextmanager
async def served(name: str, folder: Path) -> AsyncIterator[NewDatabase]:
    """Have a database of kind `name` running, and give what makes a new one in it."""
    path = Path(tempfile.mkdtemp(prefix="cpb-", dir=folder))
    if name == "sqlite":
        numbers = itertools.count()

        async def new_file() -> str:
            return f"sqlite:///{path / f'{next(numbers)}.sqlite'}"

        yield new_file
        return
    servers: dict[str, Any] = {"postgresql": Postgres, "mariadb": MariaDb}
    with servers[name](path) as server:
        yield server.new


if __name__ == "__main__":
    main()
