"""A state machine of publishers and Redis: no event is lost or duplicated.

Hypothesis chooses: the source's tree changes, publishers poll, race and are killed between any two
Redis commands, the stream is trimmed, Redis is emptied, damaged or restored from a backup. After
each step an independent reader checks that state, meta and events agree, and that each commit's
events lead from the state before to the state after. A SQLite mirror follows (contract, 5).
"""

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any

import fakeredis
import orjson
import pytest
import redis.asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consumers.errors import NoState
from consumers.following.catalog_client import CatalogClient, Timing
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from plumbing.redis.server import Server
from publisher.core.model import Category
from publisher.errors import RaceLost
from publisher.polling.cache import StateCache
from publisher.polling.poll import Catalog, poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.kill_points import Killed, dying_client
from tests.support.raw_keys import CatalogKeys, check_consistent, read_keys, replay
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import forests, rows_of
from tests.support.valkey import Valkey, fake_client

KEY = "catalog:{us}:"
Rows = dict[str, dict[str, Any]]


class Machine(RuleBasedStateMachine):
    """One catalog, its publishers, and a mirror."""

    valkey: Valkey | None = None
    """A real server, set by a test; without it fakeredis is used."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.fake = fakeredis.FakeServer()
        self.folder = tempfile.TemporaryDirectory(prefix="cp-")
        self.database = f"sqlite:///{Path(self.folder.name) / 'mirror.sqlite'}"
        self.mirrored: Rows = {}
        self.published: list[Rows] = []
        self.upstream: dict[str, Category] = {}
        self.last = CatalogKeys({}, {}, [], [])
        self.backups: list[CatalogKeys] = []
        self.damaged = False
        self.client = self.new_client()
        self.cache = StateCache()

    def new_client(self) -> redis.asyncio.Redis:
        """Return a client like that of another process."""
        if self.valkey is not None:
            return self.valkey.client()
        return fake_client(self.fake)

    def teardown(self) -> None:
        """Check that after one undisturbed poll the mirror equals the state."""
        try:
            self.poll()
            self.consume()
            assert self.mirrored == self.last.rows
        finally:
            self.do(self.cache.aclose())
            self.do(self.client.aclose())
            self.runner.close()
            self.folder.cleanup()

    def do(self, work: Any) -> Any:
        """Run a coroutine."""
        return self.runner.run(work)

    @initialize(tree=forests())
    def begin(self, tree: dict[str, Category]) -> None:
        """Start with an empty Redis."""
        self.do(self.client.flushall())
        self.upstream = tree

    @rule(tree=forests())
    def upstream_changes(self, tree: dict[str, Category]) -> None:
        """Let the source have another tree."""
        self.upstream = tree

    @rule()
    def poll(self) -> None:
        """Poll once, undisturbed."""
        self.do(poll_once(self.catalog(self.client, self.upstream, self.cache)))
        self.damaged = False
        self.observe()
        assert self.last.rows == {row["id"]: row for row in rows_of(self.upstream)}

    @rule(other=forests())
    def race(self, other: dict[str, Category]) -> None:
        """Let a second publisher poll while the first one waits for its source."""
        first = self.catalog(self.client, self.upstream, self.cache)
        second = self.catalog(self.client, other)
        assert isinstance(first.source, ScriptedSource)
        first.source.meanwhile = lambda: poll_once(second)
        try:
            self.do(poll_once(first))
        except RaceLost:
            self.upstream = other
        self.damaged = False
        self.observe()

    @rule(commands=st.integers(0, 7), after=st.booleans())
    def killed(self, commands: int, *, after: bool) -> None:
        """Kill a publisher before or after one of its commands."""
        client = dying_client(self.new_client(), commands, after=after)
        try:
            self.do(poll_once(self.catalog(client, self.upstream)))
            self.damaged = False
        except Killed:
            position = self.do(self.client.hget(f"{KEY}meta", "committed_at")) or b""
            if position.decode() != self.last.meta.get("committed_at", ""):
                self.damaged = False  # it died after its commit
        finally:
            self.do(client.aclose())
        self.observe()

    @rule(length=st.integers(0, 3))
    def trim(self, length: int) -> None:
        """Trim the stream by hand."""
        self.do(self.client.xtrim(f"{KEY}events", length, approximate=False))
        self.last = self.read_all()

    @rule()
    def wipe(self) -> None:
        """Empty Redis."""
        self.do(self.client.flushall())
        self.last = CatalogKeys({}, {}, [], [])
        self.damaged = False

    @precondition(lambda self: self.last.rows and not self.damaged)
    @rule()
    def back_up(self) -> None:
        """Keep all keys as they are."""
        self.backups.append(self.last)

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore_backup(self, data: st.DataObject) -> None:
        """Restore the server from a backup."""
        self.last = data.draw(st.sampled_from(self.backups))
        self.do(self.restore(self.last))
        self.damaged = False

    @precondition(lambda self: self.last.rows)
    @rule(
        kind=st.sampled_from(
            ["edit", "delete", "unknown field", "meta", "digest", "count", "epoch"]
        )
    )
    def damage(self, kind: str) -> None:
        """Edit keys by hand."""
        self.do(self.damage_by(kind, min(self.last.rows)))
        self.last = self.read_all()
        self.damaged = True

    @rule()
    def consume(self) -> None:
        """Let the mirror catch up.

        Without a valid state it keeps what it has, or applies the events that still connect. Rows
        that were damaged by hand never reach it, and nothing ever empties it.
        """
        caught_up = self.do(self.run_mirror())
        mirrored = self.do(self.read_mirror())
        if caught_up and not self.damaged:
            assert mirrored == self.last.rows
        else:
            assert mirrored == self.mirrored or mirrored in self.published
        self.mirrored = mirrored

    def catalog(
        self,
        client: redis.asyncio.Redis,
        tree: dict[str, Category],
        cache: StateCache | None = None,
    ) -> Catalog:
        """Return a catalog whose source has `tree`, its rows in any order."""
        source = ScriptedSource()
        source.set_tree(random.sample(list(tree.values()), len(tree)))
        return make_catalog(Store(client, "us"), source, state_cache=cache)

    def read_all(self) -> CatalogKeys:
        """Read all keys, without rows that are not valid."""
        found: CatalogKeys = self.do(read_keys(self.client))
        return found._replace(rows={id_: row for id_, row in found.rows.items() if "id" in row})

    def observe(self) -> None:
        """Check that nothing has changed, or only by complete commits."""
        found = self.read_all()
        if not self.damaged:
            if found.meta:
                check_consistent(found)
            known = {event["id"] for event in self.last.events}
            new = [event for event in found.events if event["id"] not in known]
            assert len(found.events) == len({event["id"] for event in found.events})
            assert replay(self.last.rows, new) == found.rows
            self.last = found
            if found.rows:
                self.published.append(found.rows)

    async def restore(self, backup: CatalogKeys) -> None:
        """Replace the content of the server by `backup`."""
        await self.client.flushall()
        await self.client.hset(f"{KEY}categories", mapping=await encode_rows(backup.rows))
        await self.client.hset(f"{KEY}meta", mapping=dict[Any, Any](backup.meta))
        for offset, event in zip(backup.offsets, backup.events, strict=True):
            await self.client.xadd(f"{KEY}events", {"event": compact(event)}, id=offset)

    async def damage_by(self, kind: str, id_: str) -> None:
        """Damage row `id_` or meta, as `kind` says."""
        rows, meta = f"{KEY}categories", f"{KEY}meta"
        match kind:
            case "edit":
                row = {"id": id_, "parent_id": "0", "local_name": "by hand", "is_leaf": True}
                await self.client.hset(rows, id_, compact(row))
            case "delete":
                await self.client.hdel(rows, id_)
            case "unknown field":
                await self.client.hset(rows, "unknown field", "{}")
            case "meta":
                await self.client.delete(meta)
            case "digest":
                await self.client.hset(meta, "digest", "0123456789abcdef")
            case "count":
                await self.client.hset(meta, "count", "999")
            case "epoch":
                await self.client.hdel(meta, "epoch")

    async def run_mirror(self) -> bool:
        """Run the mirror until it has caught up; return False if there is no valid state."""
        server = Server("redis://test")
        stream = CatalogClient("us", server, self.client, self.client, Timing(), once=True)
        async with open_database(self.database) as opened:
            try:
                await run_projection(Mirror(opened, "us"), Reader(stream, "mirror", once=True))
            except NoState:
                return False
        return True

    async def read_mirror(self) -> Rows:
        """Return the mirror's rows."""
        async with open_database(self.database) as opened:
            _, rows = await Mirror(opened, "us").read()
        return {id_: category._asdict() for id_, category in rows.items()}


async def encode_rows(rows: Rows) -> dict[Any, Any]:
    """Return `rows` as they are stored in Redis."""
    return {id_: compact(row) for id_, row in rows.items()}


def compact(value: Any) -> str:
    """Return `value` as compact JSON."""
    return orjson.dumps(value).decode()


def run_machine(server: Valkey | None, examples: int) -> None:
    """Run `examples` of the state machine on `server`, or on fakeredis."""
    machine = type("Game", (Machine,), {"valkey": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.2")
@pytest.mark.contract("5.6")
@pytest.mark.contract("5.7")
def test_on_fakeredis() -> None:
    """No event is lost or duplicated, no commit is partial."""
    run_machine(None, 10)


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.2")
@pytest.mark.contract("5.6")
@pytest.mark.contract("5.7")
@pytest.mark.slow
def test_on_a_real_server(valkey: Valkey) -> None:
    """The same on Valkey."""
    run_machine(valkey, 12)


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(1, 5))
def test_for_long(valkey: Valkey, shard: int) -> None:  # noqa: ARG001  any worker runs a shard
    """The same with 500 examples, a quarter of them in each shard."""
    run_machine(None, 75)
    run_machine(valkey, 50)
