"""The judge finds bugs: planted in a copy of our code, one at a time, and run from outside.

Each is a line of the commit, diff, event, guard, poll, reader or history that is another one. The
whole story without one of them is judged sound.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.faults.checker import Finding
from tests.faults.copies import HISTORY, MIRROR, Kind
from tests.faults.story import CHAPTERS, Chapter, Story
from tests.faults.world import opened
from tests.support.paths import ROOT
from tests.support.valkey import Valkey


@dataclass(frozen=True)
class Bug:
    """In `file` stands `wrong` for `right`; a copy of `kind` is looked at.

    It shows in `chapter` at the latest.
    """

    name: str
    file: str
    right: str
    wrong: str
    kind: Kind = MIRROR
    chapter: Chapter = Story.a_branch_comes_and_goes


SOUND: Final = [
    Bug(kind.name, "publisher/state/commit.lua", "", "", kind) for kind in (MIRROR, HISTORY)
]
BUGS: Final = [
    Bug(
        "commit: removed rows stay",
        "publisher/state/commit.lua",
        "in_chunks(removed_first, removed_last, 'HDEL')",
        "",
    ),
    Bug(
        "commit: an event is left out",
        "publisher/state/commit.lua",
        "for i = event_first, event_last do",
        "for i = event_first, event_last - 1 do",
    ),
    Bug(
        "commit: on top of anything",
        "publisher/state/commit.lua",
        "if not (found.epoch == ARGV[1] and found.sequence == ARGV[2] and found.digest == ARGV[3]) then",
        "if false then",
        chapter=Story.raced,
    ),
    Bug(
        "commit: meta is lost",
        "publisher/state/commit.lua",
        "redis.call('HSET', meta, 'offset', offset, unpack(ARGV, meta_first, meta_last))",
        "",
    ),
    Bug(
        "commit: a wrong offset",
        "publisher/state/commit.lua",
        "'offset', offset, unpack",
        "'offset', '0-1', unpack",
    ),
    Bug(
        "commit: the stream is trimmed to half",
        "publisher/state/commit.lua",
        "'MAXLEN', '=', ARGV[5])",
        "'MAXLEN', '=', 3)",
    ),
    Bug(
        "diff: removals before additions and updates",
        "publisher/core/diff.py",
        "[*_added_and_updated(state, snapshot), *_removed(state, snapshot)]",
        "[*_removed(state, snapshot), *_added_and_updated(state, snapshot)]",
    ),
    Bug(
        "diff: ties in any order",
        "publisher/core/diff.py",
        "    touched.sort(key=BY_ID)\n",
        "",
    ),
    Bug(
        "diff: a repair comes backwards",
        "publisher/polling/poll.py",
        "changes=changes,",
        "changes=changes[::-1] if state.damaged else changes,",
        chapter=Story.damaged,
    ),
    Bug(
        "diff: removals are forgotten", "publisher/core/diff.py", "*_removed(state, snapshot)]", "]"
    ),
    Bug(
        "diff: children before parents",
        "publisher/core/diff.py",
        "key=lambda category: depth[category.id])",
        "key=lambda category: -depth[category.id])",
    ),
    Bug(
        "diff: parents removed before children",
        "publisher/core/diff.py",
        "return -depth.get",
        "return depth.get",
    ),
    Bug(
        "diff: a rename is no change",
        "publisher/core/diff.py",
        "if state.get(new.id) != new]",
        "if new.id not in state or state[new.id].parent_id != new.parent_id]",
    ),
    Bug(
        "event: a sequence is left out",
        "publisher/core/event.py",
        "sequence += 1\n",
        "sequence += 1 + (sequence == 70)\n",
    ),
    Bug(
        "event: the digest is not kept up",
        "publisher/core/event.py",
        "value = digests.after(value, change)",
        "value ^= 0",
    ),
    Bug(
        "event: what has changed is not said",
        "publisher/core/event.py",
        "_json(change.changed)",
        'b"[]"',
    ),
    Bug(
        "commit: its time is not that of its events",
        "publisher/state/commit.py",
        '"committed_at": self._commit.committed_at',
        '"committed_at": "2026-01-01T00:00:00.000Z"',
    ),
    Bug(
        "commit: an origin that is accepted is not kept",
        "publisher/polling/poll.py",
        "origin=catalog.origin,",
        "origin=Origin(**{**catalog.origin.to_dict(), 'locale': None}),",
        chapter=Story.of_another_origin,
    ),
    Bug(
        "poll: who approves one snapshot approves any",
        "publisher/polling/poll.py",
        "if digests.text(comparison.snapshot.digest) == digest:",
        "if True:",
        chapter=Story.approved,
    ),
    Bug(
        "guard: more is let through than its limits",
        "publisher/core/guard.py",
        "return number > exact_share * count and number > limit",
        "return number > exact_share * count + 2 * limit",
        chapter=Story.implausible,
    ),
    Bug(
        "guard: nothing is beyond it",
        "publisher/core/guard.py",
        "return number > exact_share * count and number > limit",
        "return False",
        chapter=Story.implausible,
    ),
    Bug(
        "poll: a held snapshot is committed",
        "publisher/polling/poll.py",
        "if not comparison.hold_reasons:\n        return",
        "if True:\n        return",
        chapter=Story.implausible,
    ),
    Bug(
        "poll: a snapshot that was overtaken is diffed all the same",
        "publisher/polling/poll.py",
        "if state.stored_position != start.stored_position:",
        "if False:",
        chapter=Story.overtaken,
    ),
    Bug(
        "poll: no guard at a repair",
        "publisher/polling/poll.py",
        "[] if new_origin else",
        "[] if new_origin or state.damaged else",
        chapter=Story.damaged_and_implausible,
    ),
    Bug(
        "reader: an emptied Redis empties",
        "consumers/following/reader.py",
        "                snapshot, checkpoint = await self._client.snapshot()\n",
        """\
                try:
                    snapshot, checkpoint = await self._client.snapshot()
                except NoState:
                    empty = checkpoint._replace(digest="0" * 16)
                    yield Reset(Snapshot({}, "2026-01-01T00:00:00.000Z"), empty, "it is empty")
                    raise
""",
        chapter=Story.emptied,
    ),
    Bug(
        "reader: gaps and digests do not matter",
        "consumers/contract/continuity.py",
        "in enumerate(events):",
        "in enumerate([]):",
        chapter=Story.without_an_event,
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
        "self.checkpoint.transaction(checkpoint) as connection:\n            await self.apply_in",
        "self.checkpoint.transaction(self.checkpoint._stored or checkpoint) as connection:\n            await self.apply_in",
    ),
    Bug(
        "history: versions that have ended are forgotten",
        "consumers/history/store.py",
        "upsert(category_history, connection.dialect), rows)",
        "upsert(category_history, connection.dialect), rows)\n"
        "            await connection.execute(category_history.delete().where(~END.at.is_(None)))",
        HISTORY,
    ),
    Bug(
        "history: what ends is what comes",
        "consumers/history/versions.py",
        "current.pop(id_)._replace(end=position))",
        "current.pop(id_)._replace(end=position, category=event.category))",
        HISTORY,
    ),
    Bug(
        "history: all was in another year",
        "consumers/history/versions.py",
        "at = max(at, event.time)",
        'at = "1999-01-01T00:00:00.000Z"',
        HISTORY,
    ),
    Bug(
        "history: sequences are others",
        "consumers/history/versions.py",
        "last.resync, event.sequence)",
        "last.resync, 7 * event.sequence)",
        HISTORY,
    ),
    Bug(
        "history: what resyncs began and ended is forgotten",
        "consumers/history/store.py",
        "upsert(category_history, connection.dialect), rows)",
        "upsert(category_history, connection.dialect), rows)\n"
        "            await connection.execute(category_history.delete().where("
        "BEGIN.event.is_(None), ~END.at.is_(None), END.event.is_(None)))",
        HISTORY,
        chapter=Story.without_an_event,
    ),
]


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
async def test_it_is_found(bug: Bug, server: Valkey, folder: Path, seed: int) -> None:
    """Whatever it is, the judge has a finding."""
    assert await findings(bug, server, folder, seed, [bug.chapter])


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", SOUND, ids=[bug.name for bug in SOUND])
async def test_none_is_found(bug: Bug, server: Valkey, folder: Path, seed: int) -> None:
    """Without a bug there is none in the whole story."""
    assert await findings(bug, server, folder, seed, CHAPTERS) == []


async def findings(
    bug: Bug, server: Valkey, folder: Path, seed: int, chapters: Iterable[Chapter]
) -> list[Finding]:
    """Tell `chapters` with the code that has `bug`, and return what the judge says."""
    code = planted(bug, folder / "code")
    async with opened(folder, server, seed=seed, kinds=[bug.kind], watched=False) as world:
        await Story(world, code).told(chapters)
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
