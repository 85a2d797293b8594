"""Consumers as processes, killed with SIGKILL while they work: exactly-once, seen from outside."""

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

from tests.conformance.projection_under_test import Kept, Seen, Subject
from tests.consumers.pretend_publisher import PretendPublisher, Row, Tree, row, tree
from tests.support.processes import CONSUMER, call, start
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

KILLS: Final = 23
"""That interrupted work, of each projection in each database: 207 of three in three."""
MOST: Final = 2 * KILLS
"""Lives at most: a quick machine may have done all there was when the kill comes."""
EARLY: Final = 5
"""How many of them may hit the reset, before anything was committed."""
MANY: Final = 1500
"""Categories at first, so that there is time to be killed in the reset."""
FEW: Final = 300
"""Categories from then on, so that a commit is quick."""
LEAD: Final = 5000
"""Events that the publisher is ahead at most: no consumer gets through them before its kill."""
LONGEST_DELAY: Final = 0.2
"""Seconds from a sign of life to the kill, at most."""
ROOTS: Final = [str(number) for number in range(1, 6)]


class Killed(Subject):
    """What a consumer leaves behind when it is killed."""

    @pytest.mark.slow
    async def test_killed_at_random(
        self, kept: Kept, publisher: PretendPublisher, valkey: Valkey, folder: Path
    ) -> None:
        """After every kill the copy is the tree at its checkpoint; each event has its effect once.

        Nothing but the first start resyncs, and a kill that interrupts no work does not count. The
        seed decides trees and delays, though not what a machine gets done in such a delay.
        """
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")  # noqa: T201  to be seen where it fails
        (folder / "publisher.toml").write_text(f'redis_url = "{valkey.url}"\n')
        victim = Victim(kept, folder, [*self.command.split(), "us", "--to", kept.url])
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
        await kept.equal(publisher)
        assert await victim.look() == Seen(publisher.position, publisher.tree)
        await self.check_events(kept.url, victim.events)
        told = summary(lives)
        print(told)  # noqa: T201  so does what the kills hit
        assert told.moved >= 0.5 * told.kills


@dataclass(frozen=True)
class Life:
    """What was seen of one process: before its start, when it was killed, and afterwards."""

    before: Seen | None
    after: Seen | None
    published: int
    """The last sequence that there was to follow when it was killed."""
    told: Sequence[str]

    def check(self) -> None:
        """Assert that it went on from where the one before it was killed, by events alone."""
        assert "started" in self.told, self.told
        if self.before is not None:
            assert set(self.told) <= {"started"}, "it resynced, or something was wrong"

    @property
    def was_interrupted(self) -> bool:
        """Whether there was work left, so that the kill hit it in the middle."""
        return self.after is None or sequence_of(self.after) < self.published


@dataclass
class Victim:
    """A consumer that is started and killed, and what it has to have in the end."""

    kept: Kept
    folder: Path
    words: Sequence[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    """All that were published; that of sequence 1 stands first."""
    reached: int = 0
    """The sequence up to which they are in `replayed`."""
    replayed: dict[str, Row] = field(default_factory=dict)

    async def live(
        self, publisher: PretendPublisher, chance: random.Random, *, commits: bool
    ) -> Life:
        """Start it, kill it some time after it began to work, and look what it left behind.

        If it `commits`, it is killed some time after its first commit.
        """
        before = await self.look()
        process = start(CONSUMER, *self.words, cwd=self.folder)
        try:
            told = await asyncio.to_thread(_first_line, process)
            if commits:
                await eventually(lambda: self._has_left(before, process))
            await asyncio.sleep(chance.uniform(0, LONGEST_DELAY))
            assert process.poll() is None, told + process.communicate()[1]
        finally:
            process.kill()
            _, rest = process.communicate()
        after = await self.look()
        lines = (told + rest).splitlines()
        return Life(
            before, after, publisher.sequence, [json.loads(each)["event"] for each in lines]
        )

    def catch_up(self) -> subprocess.CompletedProcess[str]:
        """Let it do the rest."""
        return call(CONSUMER, *self.words, "--once", cwd=self.folder)

    async def look(self) -> Seen | None:
        """Return what it has, after asserting that this is the tree at its checkpoint."""
        seen = await self.kept.seen()
        if seen is not None:
            assert seen.tree == self._tree_at(seen)
        return seen

    def _tree_at(self, seen: Seen) -> Tree:
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
        """Say whether there are not too many events left for it already."""
        return publisher.sequence < self.reached + LEAD

    async def _has_left(self, before: Seen | None, process: subprocess.Popen[str]) -> bool:
        return process.poll() is not None or await self.kept.seen() != before


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def sequence_of(seen: Seen) -> int:
    """Return the sequence of its checkpoint."""
    return int(seen.position.split("-")[1])


@asynccontextmanager
async def publishing(
    publisher: PretendPublisher, victim: Victim, chance: random.Random
) -> AsyncIterator[None]:
    """Have commits follow each other without a pause, as long as `victim` is not too far behind."""

    def encode(event: dict[str, Any]) -> str:
        victim.events.append(event)
        return orjson.dumps(event).decode()

    async def publish() -> None:
        while True:
            size = FEW if victim.reached else MANY
            await publisher.commit(edited(publisher.tree, chance, size))
            await eventually(lambda: victim.is_near(publisher), within=60)

    publisher.encode = encode
    await publisher.commit(edited({}, chance, MANY))
    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def edited(old: Tree, chance: random.Random, size: int) -> Tree:
    """Return another tree of `size` categories: some renamed, moved, gone, new."""
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
    """How many kills there were, interrupted work, and came after some work had been done."""

    kills: int
    interrupted: int
    moved: int


def summary(lives: Sequence[Life]) -> Summary:
    """Count what the kills hit."""
    return Summary(
        len(lives),
        sum(life.was_interrupted for life in lives),
        sum(life.before != life.after for life in lives),
    )
