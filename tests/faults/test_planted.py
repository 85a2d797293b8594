"""The checker finds bugs, each put into a copy of our code and run.

A bug replaces some text in commit, diff, event, guard, poll, reader or history. Without a bug the
checker has no finding in the whole scenario.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.faults.catalog_checker import Finding
from tests.faults.projection_checker import HISTORY, MIRROR, ProjectionKind
from tests.faults.scenario import STEPS, Scenario, Step
from tests.faults.system import open_system
from tests.support.paths import ROOT
from tests.support.valkey import Valkey


@dataclass(frozen=True)
class Bug:
    """A bug of a copy of our code: in `file`, `right` is replaced by `wrong`.

    The checker finds it by `step` at the latest, with a projection of `kind`.
    """

    name: str
    file: str
    right: str
    wrong: str
    kind: ProjectionKind = MIRROR
    step: Step = Scenario.branch_added_and_removed


SOUND: Final = [
    Bug(kind.name, "publisher/state/commit.lua", "", "", kind) for kind in (MIRROR, HISTORY)
]
BUGS: Final = [
    Bug(
        "commit: removed rows are kept",
        "publisher/state/commit.lua",
        "in_chunks(removed_first, removed_last, 'HDEL')",
        "",
    ),
    Bug(
        "commit: an event is missing",
        "publisher/state/commit.lua",
        "for i = event_first, event_last do",
        "for i = event_first, event_last - 1 do",
    ),
    Bug(
        "commit: any expected position is accepted",
        "publisher/state/commit.lua",
        "if not (found.epoch == ARGV[1] and found.sequence == ARGV[2] and found.digest == ARGV[3]) then",
        "if false then",
        step=Scenario.raced,
    ),
    Bug(
        "commit: meta is not written",
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
        "[*_additions_and_updates(state, snapshot), *_removals(state, snapshot)]",
        "[*_removals(state, snapshot), *_additions_and_updates(state, snapshot)]",
    ),
    Bug(
        "diff: ties in any order",
        "publisher/core/diff.py",
        "    changed.sort(key=BY_ID)\n",
        "",
    ),
    Bug(
        "diff: the events of a repair are reversed",
        "publisher/polling/poll.py",
        "changes=changes,",
        "changes=changes[::-1] if state.is_damaged else changes,",
        step=Scenario.damaged,
    ),
    Bug(
        "diff: removals are missing", "publisher/core/diff.py", "*_removals(state, snapshot)]", "]"
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
        "diff: renames are missing",
        "publisher/core/diff.py",
        "if state.get(new.id) != new]",
        "if new.id not in state or state[new.id].parent_id != new.parent_id]",
    ),
    Bug(
        "event: a sequence is skipped",
        "publisher/core/event.py",
        "sequence += 1\n",
        "sequence += 1 + (sequence == 70)\n",
    ),
    Bug(
        "event: the digest is not updated",
        "publisher/core/event.py",
        "value = digests.after(value, change)",
        "value ^= 0",
    ),
    Bug(
        "event: `changed` is empty",
        "publisher/core/event.py",
        "_json(change.changed)",
        'b"[]"',
    ),
    Bug(
        "commit: its time differs from its events",
        "publisher/state/commit.py",
        '"committed_at": self._commit.committed_at',
        '"committed_at": "2026-01-01T00:00:00.000Z"',
    ),
    Bug(
        "commit: an accepted origin is not written",
        "publisher/polling/poll.py",
        "origin=catalog.origin,",
        "origin=Origin(**{**asdict(catalog.origin), 'locale': None}),",
        step=Scenario.origin_changed,
    ),
    Bug(
        "poll: an approval accepts any snapshot",
        "publisher/polling/poll.py",
        "if digests.text(comparison.snapshot.digest) == digest:",
        "if True:",
        step=Scenario.approved,
    ),
    Bug(
        "guard: more than its limits is accepted",
        "publisher/core/guard.py",
        "return number > exact_share * count and number > limit",
        "return number > exact_share * count + 2 * limit",
        step=Scenario.implausible,
    ),
    Bug(
        "guard: everything is accepted",
        "publisher/core/guard.py",
        "return number > exact_share * count and number > limit",
        "return False",
        step=Scenario.implausible,
    ),
    Bug(
        "poll: a held snapshot is committed",
        "publisher/polling/poll.py",
        "if not comparison.hold_reasons:\n        return",
        "if True:\n        return",
        step=Scenario.implausible,
    ),
    Bug(
        "poll: an overtaken snapshot is diffed",
        "publisher/polling/poll.py",
        "if state.stored_position != start.stored_position:",
        "if False:",
        step=Scenario.overtaken,
    ),
    Bug(
        "poll: no guard at a repair",
        "publisher/polling/poll.py",
        "[] if new_origin else",
        "[] if new_origin or state.is_damaged else",
        step=Scenario.damaged_and_implausible,
    ),
    Bug(
        "reader: an emptied Redis empties the copy",
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
        step=Scenario.emptied,
    ),
    Bug(
        "reader: gaps and digests are not checked",
        "consumers/contract/continuity.py",
        "    count = 0\n    for event in events:\n",
        "    count = len(events)\n    for event in []:\n",
        step=Scenario.event_deleted,
    ),
    Bug(
        "reader: removals are not applied",
        "consumers/sql/rows.py",
        'if e.type == "removed"]',
        "if False]",
    ),
    Bug(
        "reader: the checkpoint of the batch before is stored",
        "consumers/sql/projection.py",
        "self.checkpoint.transaction(checkpoint) as connection:\n            await self.apply_in",
        "self.checkpoint.transaction(self.checkpoint._stored or checkpoint) as connection:\n            await self.apply_in",
    ),
    Bug(
        "history: ended versions are deleted",
        "consumers/history/store.py",
        "upsert(category_history, connection.dialect), rows)",
        "upsert(category_history, connection.dialect), rows)\n"
        "            await connection.execute(category_history.delete().where(~END.at.is_(None)))",
        HISTORY,
    ),
    Bug(
        "history: an ended version has the new row",
        "consumers/history/versions.py",
        "current.pop(id_)._replace(end=position))",
        "current.pop(id_)._replace(end=position, category=event.category))",
        HISTORY,
    ),
    Bug(
        "history: times are wrong",
        "consumers/history/versions.py",
        "at = max(at, event.time)",
        'at = "1999-01-01T00:00:00.000Z"',
        HISTORY,
    ),
    Bug(
        "history: sequences are wrong",
        "consumers/history/versions.py",
        "last.resync, event.sequence)",
        "last.resync, 7 * event.sequence)",
        HISTORY,
    ),
    Bug(
        "history: versions between resyncs are deleted",
        "consumers/history/store.py",
        "upsert(category_history, connection.dialect), rows)",
        "upsert(category_history, connection.dialect), rows)\n"
        "            await connection.execute(category_history.delete().where("
        "BEGIN.event.is_(None), ~END.at.is_(None), END.event.is_(None)))",
        HISTORY,
        step=Scenario.event_deleted,
    ),
]


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
async def test_it_is_found(bug: Bug, server: Valkey, folder: Path, seed: int) -> None:
    """The checker has a finding for each bug."""
    assert await findings_of(bug, server, folder, seed, [bug.step])


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
@pytest.mark.parametrize("bug", SOUND, ids=[bug.name for bug in SOUND])
async def test_none_is_found(bug: Bug, server: Valkey, folder: Path, seed: int) -> None:
    """Without a bug there is no finding in all steps."""
    assert await findings_of(bug, server, folder, seed, STEPS) == []


async def findings_of(
    bug: Bug, server: Valkey, folder: Path, seed: int, steps: Iterable[Step]
) -> list[Finding]:
    """Run `steps` with the code that has `bug`, and return the findings."""
    code = code_with(bug, folder / "code")
    async with open_system(folder, server, seed=seed, kinds=[bug.kind], checking=False) as system:
        await Scenario(system, code).run(steps)
        return (await system.verdict()).findings


def code_with(bug: Bug, code: Path) -> Path:
    """Return a copy of our code that has `bug`."""
    for package in ("publisher", "consumers", "plumbing"):
        shutil.copytree(
            ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    file = code / bug.file
    text = file.read_text("utf-8")
    assert bug.right in text, f"{bug.name}: the code has changed, update the bug"
    file.write_text(text.replace(bug.right, bug.wrong), "utf-8")
    return code
