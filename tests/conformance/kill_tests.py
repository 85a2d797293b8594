"""Kills consumer processes while they work: each event has its effect once."""

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.conformance.projection_under_test import ProjectionTests, ProjectionUnderTest, StoredCopy
from tests.consumers.pretend_publisher import PretendPublisher, Row, Tree, row, tree
from tests.support.processes import CONSUMER, call, start
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

KILLS: Final = 23
"""Kills that interrupt work, per projection and database: 207 for three in three."""
MOST: Final = 2 * KILLS
"""The most starts: on a fast machine a kill may come when no work is left."""
EARLY: Final = 5
"""So many kills may hit the reset, before anything was committed."""
MANY: Final = 1500
"""Categories at first, so that a kill can hit the reset."""
FEW: Final = 300
"""Categories later, so that a commit is quick."""
LEAD: Final = 5000
"""The most events that the publisher is ahead: no consumer applies them all before its kill."""
LONGEST_DELAY: Final = 0.2
"""The most seconds from a sign of life to the kill."""
ROOTS: Final = [str(number) for number in range(1, 6)]


class KillTests(ProjectionTests):
    """The database after a consumer was killed."""

    @pytest.mark.contract("5.8")
    @pytest.mark.slow
    async def test_killed_at_random(
        self,
        subject: ProjectionUnderTest,
        publisher: PretendPublisher,
        valkey: Valkey,
        folder: Path,
    ) -> None:
        """After each kill the copy fits its checkpoint; each event has its effect once.

        Only the first start resyncs. A kill that interrupts no work does not count. The seed
        determines trees and delays, but not how far a machine gets in a delay.
        """
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")  # noqa: T201  shown if the test fails
        (folder / "publisher.toml").write_text(f'redis_url = "{valkey.url}"\n')
        victim = Victim(subject, folder, [*self.command.split(), "us", "--to", subject.url])
        lives: list[Life] = []
        chance = random.Random(seed)
        async with publishing(publisher, victim, chance):
            while summary(lives).interrupted < KILLS:
                number = len(lives)
                assert number < MOST, "too many kills found nothing left to do"
                commits = number >= EARLY and (not victim.reached or number % 4 != 0)
                lives.append(await victim.live(publisher, chance, commits=commits))
                lives[-1].check()
        done = await asyncio.to_thread(victim.catch_up)
        assert done.returncode == 0, done.stderr
        assert "resynced" not in done.stderr
        await subject.assert_equal(publisher)
        assert await victim.read_checked() == StoredCopy(publisher.position, publisher.tree)
        await self.check_events(subject.url, victim.events)
        counts = summary(lives)
        print(counts)  # noqa: T201  shown if the test fails
        assert counts.moved >= 0.5 * counts.kills


@dataclass(frozen=True)
class Life:
    """One process: the copy before its start and after its kill, and what it logged."""

    before: StoredCopy | None
    after: StoredCopy | None
    published: int
    """The last sequence that was published when it was killed."""
    logged: Sequence[str]

    def check(self) -> None:
        """Assert that it continued from the copy of the process before, by events alone."""
        assert "started" in self.logged, self.logged
        if self.before is not None:
            assert set(self.logged) <= {"started"}, "it resynced, or logged an error"

    @property
    def was_interrupted(self) -> bool:
        """Whether work was left, so that the kill interrupted it."""
        return self.after is None or sequence_of(self.after) < self.published


@dataclass
class Victim:
    """A consumer that is started and killed again and again."""

    subject: ProjectionUnderTest
    folder: Path
    words: Sequence[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    """All published events, from sequence 1 on."""
    reached: int = 0
    """The sequence up to which `replayed` contains them."""
    replayed: dict[str, Row] = field(default_factory=dict)

    async def live(
        self, publisher: PretendPublisher, chance: random.Random, *, commits: bool
    ) -> Life:
        """Start it, kill it some time after its first line, and read the copy.

        With `commits` it is killed some time after its first commit.
        """
        before = await self.read_checked()
        process = start(CONSUMER, *self.words, cwd=self.folder)
        try:
            first_line = await asyncio.to_thread(_first_line, process)
            if commits:
                await eventually(lambda: self._has_changed(before, process))
            await asyncio.sleep(chance.uniform(0, LONGEST_DELAY))
            assert process.poll() is None, first_line + process.communicate()[1]
        finally:
            process.kill()
            _, rest = process.communicate()
        after = await self.read_checked()
        lines = (first_line + rest).splitlines()
        return Life(
            before, after, publisher.sequence, [json.loads(each)["event"] for each in lines]
        )

    def catch_up(self) -> subprocess.CompletedProcess[str]:
        """Run it with `--once`."""
        return call(CONSUMER, *self.words, "--once", cwd=self.folder)

    async def read_checked(self) -> StoredCopy | None:
        """Return the copy, after asserting that it is the tree at its checkpoint."""
        seen = await self.subject.read()
        if seen is not None:
            assert seen.tree == self._tree_at(seen)
        return seen

    def _tree_at(self, seen: StoredCopy) -> Tree:
        assert sequence_of(seen) >= self.reached, "it went back"
        for event in self.events[self.reached : sequence_of(seen)]:
            category = event["data"]["category"]
            if event["type"] == "category.removed":
                del self.replayed[category["id"]]
            else:
                self.replayed[category["id"]] = category
        self.reached = sequence_of(seen)
        assert self.events[self.reached - 1]["id"] == seen.position
        return self.replayed

    async def is_near(self, publisher: PretendPublisher) -> bool:
        """Return whether less than LEAD events are left for it."""
        return publisher.sequence < self.reached + LEAD

    async def _has_changed(self, before: StoredCopy | None, process: subprocess.Popen[str]) -> bool:
        return process.poll() is not None or await self.subject.read() != before


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def sequence_of(seen: StoredCopy) -> int:
    """Return the sequence of its checkpoint."""
    return int(seen.position.split("-")[1])


@asynccontextmanager
async def publishing(
    publisher: PretendPublisher, victim: Victim, chance: random.Random
) -> AsyncIterator[None]:
    """Commit without a pause, as long as `victim` does not lag too much."""

    def encode(event: dict[str, Any]) -> str:
        victim.events.append(event)
        return orjson.dumps(event).decode()

    async def may_continue() -> bool:
        return is_over.is_set() or await victim.is_near(publisher)

    async def publish() -> None:
        while not is_over.is_set():
            size = FEW if victim.reached else MANY
            await publisher.commit(edited(publisher.tree, chance, size))
            await eventually(may_continue)

    publisher.encode = encode
    await publisher.commit(edited({}, chance, MANY))
    is_over = asyncio.Event()
    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        is_over.set()  # a cancelled commit may be known to `publisher` only, and not to Redis
        await task


def edited(old: Tree, chance: random.Random, size: int) -> Tree:
    """Return another tree of `size` categories: some renamed, moved, removed, added."""
    new = {**tree(*(row(id_, f"Root {id_}", is_leaf=False) for id_ in ROOTS)), **old}
    below = [id_ for id_ in new if id_ not in ROOTS]
    chance.shuffle(below)
    for id_ in below[: max(0, len(below) - size) + chance.randrange(20)]:
        del new[id_]
    for id_ in below[-20:]:
        if id_ in new:
            new[id_] = row(id_, f"Name {chance.random()}", chance.choice(ROOTS))
    while len(new) < size:
        id_ = str(chance.randrange(100, 10**6))
        new[id_] = row(id_, f"New {id_}", chance.choice(ROOTS))
    return new


@dataclass(frozen=True)
class Summary:
    """How many kills there were, amid work (`interrupted`) and after some (`moved`)."""

    kills: int
    interrupted: int
    moved: int


def summary(lives: Sequence[Life]) -> Summary:
    """Count the kills."""
    return Summary(
        len(lives),
        sum(life.was_interrupted for life in lives),
        sum(life.before != life.after for life in lives),
    )
