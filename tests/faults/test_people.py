"""What people do: two configurations, an old backup, a key that is deleted, a field edited by hand."""

import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.copies import KINDS, MIRROR, Copy, Kind
from tests.faults.processes import Process
from tests.faults.results_table import Book
from tests.faults.upstream import Upstream, another, served
from tests.faults.world import SETTLE_SECONDS, World, opened
from tests.support import kill_points
from tests.support.databases import Postgres, execute
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

KEY = "catalog:{us}:"
ROW = '{"id":"1","parent_id":"0","local_name":"by hand","is_leaf":false}'
TAKEN: Final = "another consumer writes to this store"
BEGIN: Final = "before BEGIN IMMEDIATE"
"""The point of SQLite's lock: what is written behind it was read before it."""
OVERTAKEN: Final = 4

META: list[tuple[str, ...]] = [
    ("HSET", f"{KEY}meta", field, value)
    for field, value in (
        *(("contract", ""), ("origin", "x"), ("epoch", "00000000"), ("epoch", "x")),
        *(("sequence", "7"), ("sequence", "x"), ("offset", "x"), ("digest", "0123456789abcdef")),
        *(("digest", "x"), ("count", "1"), ("committed_at", ""), ("unknown", "x")),
    )
]
DEEDS: dict[str, list[tuple[str, ...]]] = {
    "a key deleted": [
        *(("DEL", KEY + each) for each in ("categories", "meta", "events", "status", "hold")),
        *(("DEL", KEY + each) for each in ("lease", "consumers")),
        ("DEL", "catalogs"),
        ("DEL", f"{KEY}meta", f"{KEY}events"),
        ("DEL", f"{KEY}categories", f"{KEY}meta"),
    ],
    "a field of meta edited": META,
    "a field of meta deleted": [
        ("HDEL", f"{KEY}meta", field)
        for field in ("contract", "origin", "epoch", "sequence", "offset", "digest", "count")
    ],
    "a row edited, added, deleted": [
        ("HSET", f"{KEY}categories", "1", ROW),
        ("HSET", f"{KEY}categories", "new", ROW.replace('"1"', '"new"')),
        ("HSET", f"{KEY}categories", "other", ROW),
        ("HSET", f"{KEY}categories", "1", "rubbish"),
        ("HSET", f"{KEY}categories", "rubbish", "{}"),
        ("HSET", f"{KEY}categories", "", ""),
        ("HDEL", f"{KEY}categories", "1"),
        ("HDEL", f"{KEY}categories", "2", "3", "4", "5"),
    ],
    "the stream trimmed, rubbish added": [
        ("XTRIM", f"{KEY}events", "MAXLEN", "0"),
        ("XTRIM", f"{KEY}events", "MAXLEN", "3"),
        ("XADD", f"{KEY}events", "*", "event", "{}"),
        ("XADD", f"{KEY}events", "*", "hello", "world"),
        ("XSETID", f"{KEY}events", "99999999999999-0"),
    ],
    "status, consumers, lease or hold filled with rubbish": [
        ("HSET", f"{KEY}status", "next_poll_at", "x"),
        ("HSET", f"{KEY}consumers", "mirror", "x"),
        ("SET", f"{KEY}hold", "x"),
        ("SET", f"{KEY}lease", "somebody else", "PX", "3000"),
        ("SADD", "catalogs", "NO NAME"),
    ],
}


@pytest.mark.parametrize("name", DEEDS)
async def test_by_hand(name: str, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """After each deed, while all run: state and copies become equal again, and no copy shows it."""
    async with opened(folder, server, seed=seed) as world:
        world.start()
        await world.settled()
        for deed in DEEDS[name]:
            world.checker.broken(" ".join(deed), by_hand=True)
            asked(server, *deed)
            await world.changes(1)
            await world.settled()
        verdict = await world.verdict()
    book.ran(f"by hand: {name}", verdict, runs=len(DEEDS[name]), seed=seed)


@pytest.mark.parametrize("key", ["categories", "meta", "events", "status", "lease", "consumers"])
async def test_another_type(key: str, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """A key holds another type: what needs it is refused, until somebody deletes it."""
    async with opened(folder, server, seed=seed) as world:
        world.start()
        await world.settled()
        world.checker.broken(f"{key} is of another type", by_hand=True)
        asked(server, "DEL", KEY + key)
        asked(server, "LPUSH", KEY + key, "not ours")
        await world.changes()
        asked(server, "DEL", KEY + key)
        await world.changes(1)
        await world.settled()
        verdict = await world.verdict()
    book.ran("by hand: a key turned into another type, then deleted", verdict, seed=seed)


async def test_two_limits(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Two publishers with different limits: what the stricter one holds, the other one commits."""
    async with opened(folder, server, seed=seed) as world:
        world.settings = "guard = { max_updated_share = 0.0, max_updated = 0 }\n"
        world.start()
        await world.settled()
        for _ in range(4):
            await world.changes(1)
            assert await world.publisher("sync", settings="").ended() == 0
            await world.settled()
        verdict = await world.verdict()
    book.ran("two publishers, other limits of the guard", verdict, runs=4, seed=seed)


async def test_two_sources(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Two publishers with different addresses: each commits its own tree, whole, or loses a race."""
    async with opened(folder, server, seed=seed) as world:
        tree = another(world.upstream.tree, world.chance)
        async with served(other := Upstream(world.checker, tree)):
            world.start()
            await world.settled()
            world.source_url = other.url
            for _ in range(10):
                strangers = [world.publisher("sync") for _ in range(2)]
                await world.changes(2)
                other.becomes(another(world.upstream.tree, world.chance))
                assert {await each.ended() for each in strangers} <= {0, 1}
            await world.settled()
            verdict = await world.verdict()
    book.ran("two publishers, other addresses of the source", verdict, runs=20, seed=seed)


async def test_another_origin(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """A publisher with another origin is refused, and says why; the first one goes on."""
    async with opened(folder, server, seed=seed) as world:
        world.start()
        await world.settled()
        for locale in ("de-DE", "fr-FR"):
            process = world.publisher("sync", settings=f'locale = "{locale}"\n')
            assert await process.ended() == 1
            assert "its origin has changed (locale was None, is" in process.err + process.out
            await world.changes()
            await world.settled()
        verdict = await world.verdict()
    book.ran("two publishers, another origin", verdict, runs=2, seed=seed)


@pytest.mark.parametrize("since", ["then", "then trimmed away", "then another epoch"])
async def test_old_backup_of_a_file(
    since: str, server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """A consumer's file of last week is put back; what came since is there, or is not."""
    async with opened(folder, server, seed=seed) as world:
        world.start()
        await world.settled()
        for consumer in world.consumers.values():
            consumer.end()
        for file in folder.glob("*.sqlite"):
            shutil.copy(file, file.with_suffix(".backup"))
        world.start(publishers=0)
        await world.changes(5)
        await world.settled()
        await _meanwhile(world, since)
        for consumer in world.consumers.values():
            consumer.kill()
        world.checker.broken("an old backup")
        for file in folder.glob("*.sqlite"):
            for log in folder.glob(f"{file.name}-*"):
                log.unlink()
            shutil.copy(file.with_suffix(".backup"), file)
        world.start(publishers=0)
        await world.changes(1)
        await world.settled()
        verdict = await world.verdict()
    book.ran("a consumer restored from last week's backup (SQLite)", verdict, seed=seed)


async def _meanwhile(world: World, since: str) -> None:
    """Let that happen since the backup which `since` says."""
    if since == "then trimmed away":
        world.checker.broken("trimmed by hand", by_hand=True)
        asked(world.server, "XTRIM", f"{KEY}events", "MAXLEN", "0")
    if since == "then another epoch":
        world.checker.broken("meta is lost", by_hand=True)
        asked(world.server, "DEL", f"{KEY}meta")
    await world.changes()
    await world.settled()


async def test_old_backup_of_a_database(
    server: Valkey, folder: Path, postgres: Postgres, book: Book, seed: int
) -> None:
    """The same in PostgreSQL, table by table."""
    async with opened(folder, server, seed=seed, kinds=()) as world:
        world.copies = [Copy(MIRROR, url := await postgres.new(), world.checker)]
        world.start()
        await world.settled()
        for table in ("categories", "checkpoints"):
            await execute(url, f"CREATE TABLE backup_{table} AS TABLE {table}")
        await world.changes(5)
        await world.settled()
        world.consumers["mirror"].kill()
        world.checker.broken("an old backup")
        statements = [
            f"DELETE FROM {table}; INSERT INTO {table} TABLE backup_{table}"  # noqa: S608  ours
            for table in ("categories", "checkpoints")
        ]
        await execute(url, f"DO $$ BEGIN {'; '.join(statements)}; END $$")
        world.start_consumer(world.copies[0])
        await world.changes(1)
        await world.settled()
        verdict = await world.verdict()
    book.ran("a consumer restored from last week's backup (PostgreSQL)", verdict, seed=seed)


STORE: list[Any] = [
    "UPDATE categories SET local_name = 'by hand' WHERE id = '1'",
    "DELETE FROM categories WHERE id = '2'",
    "INSERT INTO categories SELECT catalog, 'new', '0', 'x', is_leaf FROM categories WHERE id='1'",
    "UPDATE checkpoints SET sequence = sequence + 1",
    "UPDATE checkpoints SET sequence = 1, stream_offset = '0-0'",
    "UPDATE checkpoints SET epoch = 'ffffffff'",
    "UPDATE checkpoints SET digest = '0123456789abcdef'",
    "UPDATE checkpoints SET stream_offset = '99999999999999-0'",
    "DELETE FROM checkpoints",
    "DELETE FROM categories",
]


async def test_edited_store(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Somebody edits a mirror's tables while it is stopped: it starts, and is equal again."""
    async with opened(folder, server, seed=seed, kinds=[MIRROR]) as world:
        world.start()
        await world.settled()
        (mirror,) = world.copies
        for statement in STORE:
            world.consumers["mirror"].kill()
            mirror.is_edited = True
            await execute(mirror.url.partition("?")[0], statement)
            world.start_consumer(mirror)
            await world.changes(1)
            await world.settled()
            mirror.is_edited = False
        verdict = await world.verdict()
    book.ran("by hand: a mirror's tables or checkpoint edited", verdict, runs=len(STORE), seed=seed)


async def test_two_on_one_store(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """A second mirror on the same tables: each commit is one's own, and one of them says it ends."""
    async with opened(folder, server, seed=seed, kinds=[MIRROR]) as world:
        world.start()
        await world.settled()
        mirrors = [world.consumers["mirror"]]
        for number in range(1, 5):
            mirrors.append(world.start_consumer(world.copies[0]))
            await eventually(partial(_has_started, mirrors[-1]), within=SETTLE_SECONDS)
            await world.changes()
            await world.settled()
            await eventually(partial(_have_ended, mirrors, number), within=SETTLE_SECONDS)
        verdict = await world.verdict()
    book.ran("two consumers on one store", verdict, runs=4, seed=seed)
    assert [each.exit_code for each in mirrors if TAKEN in each.err] == [1] * 4


async def _has_started(consumer: Process) -> bool:
    """Tell whether it goes on from a checkpoint."""
    return "started" in consumer.err


async def _have_ended(consumers: list[Process], number: int) -> bool:
    """Tell whether so many have ended."""
    return sum(each.exit_code is not None for each in consumers) == number


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
async def test_overtaken_on_one_store(
    kind: Kind, server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """Another one writes to the tables while the first stands right before: it writes nothing more."""
    async with opened(folder, server, seed=seed, kinds=[kind], watched=False) as world:
        (copy,) = world.copies
        await _polled(world)
        assert await world.consumer(copy, "--once").ended() == 0
        await _polled(world)
        alone = _stopped(world, copy, at=0)
        assert await alone.ended() == 0, alone.err
        points = kill_points.points(alone.logs, among={BEGIN, "after UPDATE checkpoints"})
        at = len(points) - points[::-1].index(BEGIN)
        for _ in range(OVERTAKEN):
            await _polled(world)
            first = _stopped(world, copy, at=at)
            await eventually(partial(_stands, first), within=SETTLE_SECONDS)
            assert kill_points.points(first.logs)[-1] == BEGIN
            await _polled(world)
            assert await world.consumer(copy, "--once").ended() == 0
            await copy.look()
            first.resume()
            exit_code = await first.ended()
            await copy.final()
            assert (exit_code, TAKEN in first.err) == (1, True), world.checker.findings
        verdict = await world.verdict()
    fault = "consumer stopped before it writes, while another one writes to its store"
    book.ran(fault, verdict, runs=OVERTAKEN, seed=seed)


async def _polled(world: World) -> None:
    """Have another tree published, and judged."""
    world.upstream.changes(world.chance)
    assert await world.publisher("sync").ended() == 0
    await world.checker.look()


def _stopped(world: World, copy: Copy, at: int) -> Process:
    """Start a consumer that stands still at its point `at` of SQL; 0: it does not."""
    arm = partial(kill_points.arm, last=at, redis=False, by=signal.SIGSTOP)
    return world.consumer(copy, "--once", before=lambda folder: partial(arm, folder))


async def _stands(process: Process) -> bool:
    """Tell whether a process is stopped."""
    return process.is_stopped
