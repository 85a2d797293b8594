"""Real histories from sandbox to client, Redis and SQLite, version by version."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis.asyncio

from publisher.app import App
from publisher.core.model import Counts
from publisher.polling.recorded_poll import poll_and_record
from publisher.sandbox import Sandbox, SandboxOptions, read_tree
from tests.end_to_end.sandbox_publisher import open_publisher
from tests.support.processes import CONSUMER, call
from tests.support.raw_keys import check_consistent, read_keys, replay
from tests.support.valkey import Valkey

HISTORIES = {
    "shopify": {
        "0.10.0": Counts(added=10_299),
        "0.11.0": Counts(updated=1),
        "0.13.0": Counts(added=9),
        "0.15.0": Counts(added=49, updated=11, removed=81),
    },
    "whatnot": {
        "1.0.0": Counts(added=336),
        "1.1.0": Counts(),
        "1.1.1": Counts(updated=1),
        "1.1.2": Counts(added=4),
        "1.1.3": Counts(added=1),
        "1.1.4": Counts(added=1),
    },
}
"""The changes of each version, by ../shared/data/README.md; the first is the import."""

COPY = "copy.sqlite"

WRITES = re.compile(r"cmdstat_(?!auth|client|ping|info|hmget|hgetall|get|type|multi|exec|select)")
"""Statistics of commands that write, and of some that read."""


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.4")
@pytest.mark.contract("8")
@pytest.mark.parametrize("name", ["whatnot", pytest.param("shopify", marks=pytest.mark.slow)])
async def test_each_version_of_a_real_history_is_published(
    name: str, real_trees: Path, valkey: Valkey, real_client: redis.asyncio.Redis, folder: Path
) -> None:
    """Each version has exactly its changes; the copy is equal after it."""
    files = [real_trees / name / f"{version}.json" for version in HISTORIES[name]]
    options = SandboxOptions(trees=tuple(read_tree(file) for file in files), advance="command")
    (folder / "publisher.toml").write_text(f'redis_url = "{valkey.url}"\n')
    before: dict[str, Any] = {}
    async with Sandbox(options) as sandbox, open_publisher(sandbox, valkey, folder) as app:
        for file, counts in zip(files, HISTORIES[name].values(), strict=True):
            events_before = len((await read_keys(real_client)).events)
            polled = await poll_and_record(app.catalogs["us"], app.server)
            assert polled.counts == counts
            found = await read_keys(real_client)
            check_consistent(found)
            assert replay(before, found.events[events_before:]) == found.rows
            assert found.rows == {row["id"]: row for row in orjson.loads(file.read_bytes())}
            before = found.rows
            await check_second_poll(app, real_client)
            check_copy(folder, found.rows)
            sandbox.api.trees.advance()
    verified = call(CONSUMER, "verify", "us", "--to", f"sqlite:///{folder / COPY}", cwd=folder)
    assert verified.returncode == 0, verified.stderr


async def check_second_poll(app: App, client: redis.asyncio.Redis) -> None:
    """Check that another poll of the same version writes the status and nothing else."""
    before = await read_keys(client)
    await client.config_resetstat()
    assert (await poll_and_record(app.catalogs["us"], app.server)).outcome == "unchanged"
    stats = await client.info("commandstats")
    assert await read_keys(client) == before
    written = {name: stats[name]["calls"] for name in stats if WRITES.match(name)}
    status = {"cmdstat_sadd": 1, "cmdstat_hset": 1, "cmdstat_hsetnx": 1}
    assert {name: calls for name, calls in written.items() if "xr" not in name} == {
        **status,
        "cmdstat_config|resetstat": 1,
    }


def check_copy(folder: Path, rows: dict[str, Any]) -> None:
    """Check that the consumer's SQLite copy equals `rows` once it has caught up."""
    done = call(
        CONSUMER, "mirror", "us", "--to", f"sqlite:///{folder / COPY}", "--once", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(folder / COPY)) as copy:
        copied = copy.execute("SELECT id, parent_id, local_name, is_leaf FROM categories")
        assert {row[0]: row for row in copied} == {
            id_: (id_, row["parent_id"], row["local_name"], row["is_leaf"])
            for id_, row in rows.items()
        }
