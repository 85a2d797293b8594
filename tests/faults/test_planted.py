"""The judge finds bugs: planted in a copy of our code, one at a time, and run from outside.

Each is a line of the commit, diff, event, guard, poll, reader or history that is another one. The same
story without one of them is judged sound.
"""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.commands.process import CONSUMER, PUBLISHER, environment
from tests.faults import mortal
from tests.faults.checker import Finding
from tests.faults.contract import ORIGIN, digest_of
from tests.faults.copies import HISTORY, MIRROR, Kind
from tests.faults.processes import is_stopped
from tests.faults.upstream import another, grown, row, without_leaves
from tests.faults.world import World, opened
from tests.redis_servers import asked
from tests.valkey import Valkey
from tests.waiting import eventually

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = "catalog:{us}:events"
SECONDS: Final = 60.0


@dataclass(frozen=True)
class Bug:
    """In `file` stands `wrong` for `right`; a copy of `kind` is looked at."""

    name: str
    file: str
    right: str
    wrong: str
    kind: Kind = MIRROR


SOUND: Final = [Bug(kind.name, "publisher/commit.lua", "", "", kind) for kind in (MIRROR, HISTORY)]
BUGS: Final = [
    Bug(
        "commit: removed rows stay",
        "publisher/commit.lua",
        "in_chunks(removed_first, removed_last, 'HDEL')",
        "",
    ),
    Bug(
        "commit: an event is left out",
        "publisher/commit.lua",
        "for i = event_first, event_last do",
        "for i = event_first, event_last - 1 do",
    ),
    Bug(
        "commit: on top of anything",
        "publisher/commit.lua",
        "if not (found.epoch == ARGV[1] and found.sequence == ARGV[2] and found.digest == ARGV[3]) then",
        "if false then",
    ),
    Bug(
        "commit: meta is lost",
        "publisher/commit.lua",
        "redis.call('HSET', meta, 'offset', offset, unpack(ARGV, meta_first, meta_last))",
        "",
    ),
    Bug(
        "commit: a wrong offset",
        "publisher/commit.lua",
        "'offset', offset, unpack",
        "'offset', '0-1', unpack",
    ),
    Bug(
        "commit: the stream is trimmed to half",
        "publisher/commit.lua",
        "'MAXLEN', '=', ARGV[5])",
        "'MAXLEN', '=', 3)",
    ),
    Bug(
        "diff: removals before additions and updates",
        "publisher/diff.py",
        "[*_added_and_updated(state, snapshot), *_removed(state, snapshot)]",
        "[*_removed(state, snapshot), *_added_and_updated(state, snapshot)]",
    ),
    Bug(
        "diff: ties in any order",
        "publisher/diff.py",
        "    touched.sort(key=BY_ID)\n",
        "",
    ),
    Bug(
        "diff: a repair comes backwards",
        "publisher/poll.py",
        "changes=found.changes,",
        "changes=found.changes[::-1] if found.state.damaged else found.changes,",
    ),
    Bug("diff: removals are forgotten", "publisher/diff.py", "*_removed(state, snapshot)]", "]"),
    Bug(
        "diff: children before parents",
        "publisher/diff.py",
        "key=lambda category: depth[category.id])",
        "key=lambda category: -depth[category.id])",
    ),
    Bug(
        "diff: parents removed before children",
        "publisher/diff.py",
        "return -depth.get",
        "return depth.get",
    ),
    Bug(
        "diff: a rename is no change",
        "publisher/diff.py",
        "if state.get(new.id) != new]",
        "if new.id not in state or state[new.id].parent_id != new.parent_id]",
    ),
    Bug(
        "event: a sequence is left out",
        "publisher/event.py",
        "sequence += 1\n",
        "sequence += 1 + (sequence == 70)\n",
    ),
    Bug(
        "event: the digest is not kept up",
        "publisher/event.py",
        "value = digests.after(value, change)",
        "value ^= 0",
    ),
    Bug(
        "event: what has changed is not said",
        "publisher/event.py",
        "changed=change.changed",
        "changed=[]",
    ),
    Bug(
        "commit: its time is not that of its events",
        "publisher/commit.py",
        '"committed_at": self._commit.committed_at',
        '"committed_at": "2026-01-01T00:00:00.000Z"',
    ),
    Bug(
        "commit: an origin that is accepted is not kept",
        "publisher/poll.py",
        "origin=catalog.origin,",
        "origin={**catalog.origin, 'locale': None},",
    ),
    Bug(
        "poll: who approves one snapshot approves any",
        "publisher/poll.py",
        "approved = approve == digests.text(found.snapshot.digest) if approve else False",
        "approved = bool(approve)",
    ),
    Bug(
        "guard: more is let through than its limits",
        "publisher/guard.py",
        "return number > exact_share * count and number > limit",
        "return number > exact_share * count + 2 * limit",
    ),
    Bug(
        "guard: nothing is beyond it",
        "publisher/guard.py",
        "return number > exact_share * count and number > limit",
        "return False",
    ),
    Bug(
        "poll: a held snapshot is committed",
        "publisher/poll.py",
        "if found.objections and not approved:",
        "if False:",
    ),
    Bug(
        "poll: a snapshot that was overtaken is diffed all the same",
        "publisher/poll.py",
        "if state.position != noted.position:",
        "if False:",
    ),
    Bug(
        "poll: no guard at a repair",
        "publisher/poll.py",
        "[] if new_origin else",
        "[] if new_origin or state.damaged else",
    ),
    Bug(
        "reader: an emptied Redis empties",
        "consumers/reader.py",
        "                snapshot, checkpoint = await self._stream.snapshot()\n",
        """\
                try:
                    snapshot, checkpoint = await self._stream.snapshot()
                except NoState:
                    empty = checkpoint._replace(digest="0" * 16)
                    yield Reset(Snapshot({}, "2026-01-01T00:00:00.000Z"), empty, "it is empty")
                    raise
""",
    ),
    Bug(
        "reader: gaps and digests do not matter",
        "consumers/strict.py",
        "in enumerate(events):",
        "in enumerate([]):",
    ),
    Bug(
        "reader: removals are not followed",
        "consumers/sql/rows.py",
        'if e.type == "removed"]',
        "if False]",
    ),
    Bug(
        "reader: the checkpoint is that of the batch before",
        "consumers/sql/projection.py",
        "self.checkpoint.moving(checkpoint) as connection:\n            await self.apply_in",
        "self.checkpoint.moving(self.checkpoint._stored or checkpoint) as connection:\n            await self.apply_in",
    ),
    Bug(
        "history: versions that have ended are forgotten",
        "consumers/history/record.py",
        "upsert(category_history, connection.dialect), rows)",
        "upsert(category_history, connection.dialect), rows)\n"
        "            await connection.execute(category_history.delete().where(~END.at.is_(None)))",
        HISTORY,
    ),
    Bug(
        "history: what ends is what comes",
        "consumers/history/version.py",
        "current.pop(id_)._replace(end=mark))",
        "current.pop(id_)._replace(end=mark, category=event.category))",
        HISTORY,
    ),
    Bug(
        "history: all was in another year",
        "consumers/history/version.py",
        "at = max(at, event.time)",
        'at = "1999-01-01T00:00:00.000Z"',
        HISTORY,
    ),
    Bug(
        "history: sequences are others",
        "consumers/history/version.py",
        "last.resync, event.sequence)",
        "last.resync, 7 * event.sequence)",
        HISTORY,
    ),
    Bug(
        "history: what resyncs began and ended is forgotten",
        "consumers/history/record.py",
        "upsert(category_history, connection.dialect), rows)",
        "upsert(category_history, connection.dialect), rows)\n"
        "            await connection.execute(category_history.delete().where("
        "BEGIN.event.is_(None), ~END.at.is_(None), END.event.is_(None)))",
        HISTORY,
    ),
]


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
async def test_it_is_found(bug: Bug, server: Valkey, folder: Path, seed: int) -> None:
    """Whatever it is, the judge has a finding."""
    assert await findings(bug, server, folder, seed)


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", SOUND, ids=[bug.name for bug in SOUND])
async def test_none_is_found(bug: Bug, server: Valkey, folder: Path, seed: int) -> None:
    """Without a bug there is none."""
    assert await findings(bug, server, folder, seed) == []


async def findings(bug: Bug, server: Valkey, folder: Path, seed: int) -> list[Finding]:
    """Tell the story with the code that has `bug`, and return what the judge says."""
    code = planted(bug, folder / "code")
    async with opened(folder, server, seed=seed, kinds=[bug.kind], watched=False) as world:
        await Story(world, code).told()
        return (await world.verdict()).findings


def planted(bug: Bug, code: Path) -> Path:
    """Return a copy of our code that has `bug`."""
    for package in ("publisher", "consumers", "plumbing"):
        shutil.copytree(
            ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    file = code / bug.file
    text = file.read_text("utf-8")
    assert bug.right in text, f"{bug.name}: the code is another one now"
    file.write_text(text.replace(bug.right, bug.wrong), "utf-8")
    return code


@dataclass(frozen=True)
class Story:
    """What happens to one catalog, with the processes of the code in `code`."""

    world: World
    code: Path
    numbers: Iterator[int] = field(default_factory=count)

    async def told(self) -> None:
        """Import, change, race, lose an event, a branch, everything, until the judge has a finding."""
        for chapter in (
            self._polled,
            self._a_branch_comes_and_goes,
            self._raced,
            self._overtaken,
            self._without_an_event,
            self._implausible,
            self._approved,
            self._damaged_and_implausible,
            self._damaged,
            self._of_another_origin,
            self._emptied,
        ):
            await chapter()
            if self.world.checker.findings:
                return

    async def _polled(self) -> None:
        await self._sync()
        await self._followed()

    async def _followed(self) -> None:
        (copy,) = self.world.copies
        await self.world.checker.look()
        await self._run(CONSUMER, *copy.kind.command, "us", "--to", copy.url, "--once")
        await copy.look()

    async def _a_branch_comes_and_goes(self) -> None:
        upstream, chance = self.world.upstream, self.world.chance
        without = another(upstream.tree, chance)
        branch = [row("b1", "0", "Branch"), row("b2", "b1", "Twig"), row("b3", "b2", "Leaf")]
        upstream.becomes(without | {each["id"]: each for each in branch})
        await self._polled()
        upstream.becomes(without | {"b2": row("b2", "0", "Twig"), "b3": branch[2]})
        await self._polled()
        upstream.becomes(without)
        await self._polled()

    async def _raced(self) -> None:
        """Let one publisher commit while another one stands right before its commit."""
        await self._passed_at("before EVALSHA")

    async def _overtaken(self) -> None:
        """Let it commit while the other has its snapshot, and has not loaded the state yet."""
        await self._passed_at("before MULTI HGETALL HGETALL EXEC")

    async def _passed_at(self, point: str) -> None:
        world = self.world
        await world.changes(1)
        points = await self._sync()
        last = len(points) - points[::-1].index(point)
        await world.changes(1)
        first = await self._begun("tests.faults.armed", *self._armed(last))
        await eventually(lambda: stands(first))
        await world.changes(1)
        await self._polled()
        first.send_signal(signal.SIGCONT)
        await self._ended(first)
        await self._polled()

    async def _without_an_event(self) -> None:
        """Delete an event by hand between two that a consumer has not read yet."""
        world = self.world
        await world.changes(1)
        await self._sync()
        await world.checker.look()
        world.checker.broken("an event is deleted", by_hand=True)
        newest = asked(world.server, "XREVRANGE", EVENTS, "+", "-", "COUNT", "2")
        asked(world.server, "XDEL", EVENTS, newest[-1][0])
        await self._followed()
        world.checker.whole()

    async def _implausible(self) -> None:
        """Have the source lack one leaf too many, and most of its tree; nothing of that is to arrive."""
        world = self.world
        good = world.upstream.tree
        for bad in (without_leaves(good, 21), grown(20, world.chance)):
            world.upstream.becomes(bad)
            await self._polled()
        world.upstream.becomes(good)
        await self._polled()

    async def _approved(self) -> None:
        """Approve what is held when the source gives something else, as implausible."""
        world = self.world
        good, held = world.upstream.tree, grown(20, world.chance)
        world.upstream.becomes(held)
        await self._sync()
        world.checker.approved(digest_of(held))
        world.upstream.becomes(grown(20, world.chance))
        await self._run(PUBLISHER, "approve", "us", digest_of(held))
        await self._followed()
        world.upstream.becomes(good)
        await self._polled()

    async def _damaged_and_implausible(self) -> None:
        """Edit a row by hand, too: a repair is no way around the guard."""
        world = self.world
        world.checker.broken("a row is deleted", by_hand=True)
        asked(world.server, "HDEL", "catalog:{us}:categories", "1")
        await self._implausible()
        world.checker.whole()

    async def _damaged(self) -> None:
        """Delete rows by hand that others hang under: they come back first."""
        world = self.world
        world.checker.broken("rows are deleted", by_hand=True)
        asked(world.server, "HDEL", "catalog:{us}:categories", "2", "3", "4", "5")
        await world.changes(1)
        await self._polled()
        world.checker.whole()

    async def _of_another_origin(self) -> None:
        """Accept another origin; from then on it is the catalog's."""
        world = self.world
        world.settings = 'locale = "de-DE"\n'
        world.checker.origins = [ORIGIN | {"locale": "de-DE"}]
        await world.changes(1)
        await self._run(PUBLISHER, "sync", "us", "--accept-origin")
        await self._polled()

    async def _emptied(self) -> None:
        """Wipe Redis, and let a consumer see that before a publisher mends it."""
        self.world.checker.broken("wiped")
        asked(self.world.server, "FLUSHALL")
        await self._followed()
        await self._polled()
        self.world.checker.whole()

    async def _sync(self) -> list[str]:
        """Poll once; return the points that were passed."""
        words = self._armed(0)
        await self._run("tests.faults.armed", *words)
        return mortal.points(Path(words[0]))

    def _armed(self, point: int) -> tuple[str, ...]:
        folder = str(self.world.folder / f"notes-{next(self.numbers)}")
        Path(folder).mkdir()
        return folder, str(point), PUBLISHER, "sync"

    async def _run(self, module: str, *words: str) -> None:
        """Run a command of the code to its end, whatever that is."""
        await self._ended(await self._begun(module, *words))

    async def _begun(self, module: str, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            cwd=self.world.configured(),
            env=environment({"PYTHONPATH": f"{self.code}{os.pathsep}{ROOT}"}),
            stdout=DEVNULL,
            stderr=DEVNULL,
        )

    async def _ended(self, process: Process) -> None:
        async with asyncio.timeout(SECONDS):
            await process.wait()


async def stands(process: Process) -> bool:
    """Tell whether it is stopped."""
    return is_stopped(process.pid)
