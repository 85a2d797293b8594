"""What people do: two configurations, old backups, keys and tables edited by hand."""

import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.changing_source import ChangingSource, changed_tree, serving
from tests.faults.processes import Process
from tests.faults.projection_checker import KINDS, MIRROR, ProjectionChecker, ProjectionKind
from tests.faults.results_table import ResultsRecorder
from tests.faults.system import System, open_system
from tests.support import kill_points
from tests.support.databases import Postgres, execute
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

KEY = "catalog:{us}:"
ROW = '{"id":"1","parent_id":"0","local_name":"by hand","is_leaf":false}'
STORE_TAKEN: Final = "another consumer writes to this database"
BEGIN: Final = "before BEGIN IMMEDIATE"
"""The point before SQLite's lock: what is written after it was read before it."""
OVERTAKEN: Final = 4

META_EDITS: list[tuple[str, ...]] = [
    ("HSET", f"{KEY}meta", field, value)
    for field, value in (
        *(("contract", ""), ("origin", "x"), ("epoch", "00000000"), ("epoch", "x")),
        *(("sequence", "7"), ("sequence", "x"), ("offset", "x"), ("digest", "0123456789abcdef")),
        *(("digest", "x"), ("count", "1"), ("committed_at", ""), ("unknown", "x")),
    )
]
EDITS: dict[str, list[tuple[str, ...]]] = {
    "a key deleted": [
        *(("DEL", KEY + each) for each in ("categories", "meta", "events", "status", "hold")),
        *(("DEL", KEY + each) for each in ("lease", "consumers")),
        ("DEL", "catalogs"),
        ("DEL", f"{KEY}meta", f"{KEY}events"),
        ("DEL", f"{KEY}categories", f"{KEY}meta"),
    ],
    "a field of meta edited": META_EDITS,
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


@pytest.mark.parametrize("name", EDITS)
async def test_by_hand(
    name: str, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """After each edit all become equal again; no copy ever shows the edit."""
    async with open_system(folder, server, seed=seed) as system:
        system.start()
        await system.settle()
        for edit in EDITS[name]:
            system.checker.allow_break(" ".join(edit), by_hand=True)
            execute_on(server, *edit)
            await system.change(1)
            await system.settle()
        verdict = await system.verdict()
    results.record(f"by hand: {name}", verdict, runs=len(EDITS[name]), seed=seed)


@pytest.mark.parametrize("key", ["categories", "meta", "events", "status", "lease", "consumers"])
async def test_another_type(
    key: str, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A key of another type stops the catalog until somebody deletes it."""
    async with open_system(folder, server, seed=seed) as system:
        system.start()
        await system.settle()
        system.checker.allow_break(f"{key} is of another type", by_hand=True)
        execute_on(server, "DEL", KEY + key)
        execute_on(server, "LPUSH", KEY + key, "not ours")
        await system.change()
        execute_on(server, "DEL", KEY + key)
        await system.change(1)
        await system.settle()
        verdict = await system.verdict()
    results.record("by hand: a key turned into another type, then deleted", verdict, seed=seed)


async def test_two_limits(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Two publishers with different limits: one commits what the stricter one holds."""
    async with open_system(folder, server, seed=seed) as system:
        system.catalog_settings = "guard = { max_updated_share = 0.0, max_updated = 0 }\n"
        system.start()
        await system.settle()
        for _ in range(4):
            await system.change(1)
            assert await system.publisher("sync", settings="").wait_async() == 0
            await system.settle()
        verdict = await system.verdict()
    results.record("two publishers, other limits of the guard", verdict, runs=4, seed=seed)


async def test_two_sources(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Two publishers with other sources: each commits its own tree or loses a race."""
    async with open_system(folder, server, seed=seed) as system:
        tree = changed_tree(system.source.tree, system.rng)
        async with serving(other := ChangingSource(system.checker, tree)):
            system.start()
            await system.settle()
            system.source_url = other.url
            for _ in range(10):
                others = [system.publisher("sync") for _ in range(2)]
                await system.change(2)
                other.serve_tree(changed_tree(system.source.tree, system.rng))
                assert {await each.wait_async() for each in others} <= {0, 1}
            await system.settle()
            verdict = await system.verdict()
    results.record("two publishers, other addresses of the source", verdict, runs=20, seed=seed)


async def test_another_origin(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A publisher with another origin is rejected, with the reason."""
    async with open_system(folder, server, seed=seed) as system:
        system.start()
        await system.settle()
        for locale in ("de-DE", "fr-FR"):
            process = system.publisher("sync", settings=f'locale = "{locale}"\n')
            assert await process.wait_async() == 1
            assert "its origin has changed (locale was None, is" in process.err + process.out
            await system.change()
            await system.settle()
        verdict = await system.verdict()
    results.record("two publishers, another origin", verdict, runs=2, seed=seed)


@pytest.mark.parametrize("since", ["then", "then trimmed away", "then another epoch"])
async def test_old_backup_of_a_file(
    since: str, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A consumer's file of last week is restored; the events since are there, or not."""
    async with open_system(folder, server, seed=seed) as system:
        system.start()
        await system.settle()
        for consumer in system.consumers.values():
            consumer.end()
        for file in folder.glob("*.sqlite"):
            shutil.copy(file, file.with_suffix(".backup"))
        system.start(publishers=0)
        await system.change(5)
        await system.settle()
        await _change_since(system, since)
        for consumer in system.consumers.values():
            consumer.kill()
        system.checker.allow_break("an old backup")
        for file in folder.glob("*.sqlite"):
            for log in folder.glob(f"{file.name}-*"):
                log.unlink()
            shutil.copy(file.with_suffix(".backup"), file)
        system.start(publishers=0)
        await system.change(1)
        await system.settle()
        verdict = await system.verdict()
    results.record("a consumer restored from last week's backup (SQLite)", verdict, seed=seed)


async def _change_since(system: System, since: str) -> None:
    """Do to the catalog what `since` says, after the backup."""
    if since == "then trimmed away":
        system.checker.allow_break("trimmed by hand", by_hand=True)
        execute_on(system.server, "XTRIM", f"{KEY}events", "MAXLEN", "0")
    if since == "then another epoch":
        system.checker.allow_break("meta is lost", by_hand=True)
        execute_on(system.server, "DEL", f"{KEY}meta")
    await system.change()
    await system.settle()


async def test_old_backup_of_a_database(
    server: Valkey, folder: Path, postgres: Postgres, results: ResultsRecorder, seed: int
) -> None:
    """The same in PostgreSQL, table by table."""
    async with open_system(folder, server, seed=seed, kinds=()) as system:
        system.projections = [
            ProjectionChecker(MIRROR, url := await postgres.new(), system.checker)
        ]
        system.start()
        await system.settle()
        for table in ("categories", "checkpoints"):
            await execute(url, f"CREATE TABLE backup_{table} AS TABLE {table}")
        await system.change(5)
        await system.settle()
        system.consumers["mirror"].kill()
        system.checker.allow_break("an old backup")
        statements = [
            f"DELETE FROM {table}; INSERT INTO {table} TABLE backup_{table}"  # noqa: S608  ours
            for table in ("categories", "checkpoints")
        ]
        await execute(url, f"DO $$ BEGIN {'; '.join(statements)}; END $$")
        system.start_consumer(system.projections[0])
        await system.change(1)
        await system.settle()
        verdict = await system.verdict()
    results.record("a consumer restored from last week's backup (PostgreSQL)", verdict, seed=seed)


TABLE_EDITS: list[Any] = [
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


async def test_edited_store(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A mirror's tables are edited while it is stopped: it starts, and is equal again."""
    async with open_system(folder, server, seed=seed, kinds=[MIRROR]) as system:
        system.start()
        await system.settle()
        (mirror,) = system.projections
        for statement in TABLE_EDITS:
            system.consumers["mirror"].kill()
            mirror.is_edited = True
            await execute(mirror.url.partition("?")[0], statement)
            system.start_consumer(mirror)
            await system.change(1)
            await system.settle()
            mirror.is_edited = False
        verdict = await system.verdict()
    results.record(
        "by hand: a mirror's tables or checkpoint edited", verdict, runs=len(TABLE_EDITS), seed=seed
    )


async def test_two_on_one_store(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A second mirror on the same tables: no commit is mixed, and one of them ends."""
    async with open_system(folder, server, seed=seed, kinds=[MIRROR]) as system:
        system.start()
        await system.settle()
        mirrors = [system.consumers["mirror"]]
        for number in range(1, 5):
            mirrors.append(system.start_consumer(system.projections[0]))
            await eventually(partial(_has_started, mirrors[-1]))
            await system.change()
            await system.settle()
            await eventually(partial(_have_ended, mirrors, number))
        verdict = await system.verdict()
    results.record("two consumers on one store", verdict, runs=4, seed=seed)
    assert [each.exit_code for each in mirrors if STORE_TAKEN in each.err] == [1] * 4


async def _has_started(consumer: Process) -> bool:
    """Return whether it continues from a checkpoint."""
    return "started" in consumer.err


async def _have_ended(consumers: list[Process], number: int) -> bool:
    """Return whether so many have ended."""
    return sum(each.exit_code is not None for each in consumers) == number


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
async def test_overtaken_on_one_store(
    kind: ProjectionKind, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A consumer that is stopped while another one writes then writes nothing."""
    async with open_system(folder, server, seed=seed, kinds=[kind], checking=False) as system:
        (projection,) = system.projections
        await _publish_next(system)
        assert await system.consumer(projection, "--once").wait_async() == 0
        await _publish_next(system)
        alone = _start_stopping(system, projection, at=0)
        assert await alone.wait_async() == 0, alone.err
        points = kill_points.points(alone.logs, among={BEGIN, "after UPDATE checkpoints"})
        at = len(points) - points[::-1].index(BEGIN)
        for _ in range(OVERTAKEN):
            await _publish_next(system)
            first = _start_stopping(system, projection, at=at)
            await eventually(partial(_is_stopped, first))
            assert kill_points.points(first.logs)[-1] == BEGIN
            await _publish_next(system)
            assert await system.consumer(projection, "--once").wait_async() == 0
            await projection.check()
            first.resume()
            exit_code = await first.wait_async()
            await projection.final_check()
            assert (exit_code, STORE_TAKEN in first.err) == (1, True), system.checker.findings
        verdict = await system.verdict()
    fault = "consumer stopped before it writes, while another one writes to its store"
    results.record(fault, verdict, runs=OVERTAKEN, seed=seed)


async def _publish_next(system: System) -> None:
    """Publish another tree, and check it."""
    system.source.change(system.rng)
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.check()


def _start_stopping(system: System, projection: ProjectionChecker, at: int) -> Process:
    """Start a consumer that stops at its SQL point `at`; 0 means never."""
    arm = partial(kill_points.arm, last=at, redis=False, by=signal.SIGSTOP)
    return system.consumer(projection, "--once", before=lambda folder: partial(arm, folder))


async def _is_stopped(process: Process) -> bool:
    """Return whether SIGSTOP has stopped the process."""
    return process.is_stopped
