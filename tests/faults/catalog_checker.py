"""Checks a catalog from outside: follows its state and stream.

It uses an implementation of the contract of its own (`tests.support.contract`), and no code of ours.
Each snapshot of Redis is read in one MULTI/EXEC, so a disagreement in it is a partial write. After a
finding the checker continues with what is stored, so one mistake is reported once.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson
import redis.asyncio

from tests.faults.redis_snapshots import (
    RedisSnapshot,
    check_backwards,
    disagreements,
    undo_events,
    valid_rows,
)
from tests.support.contract import (
    ORIGIN,
    Before,
    Ends,
    Event,
    Row,
    Tree,
    digest_of,
    ends_of,
    epoch_and_sequence,
    event_in,
    follows,
    is_in_order,
    not_under_a_root,
    position_before,
)

FindingKind: TypeAlias = Literal["lost", "duplicate", "partial write", "diverged", "unguarded"]

START: Final = "0-0"


class Finding(NamedTuple):
    """A violation of contract 5.

    lost: a change or a part of the history is missing. duplicate: something has an effect twice.
    partial write: state, stream and meta disagree, or a projection and its checkpoint.
    diverged: not equal although nothing changes any more. unguarded: a snapshot was accepted that
    the guard withholds, that the source never gave, or that is older than the one before it.
    """

    kind: FindingKind
    what: str


@dataclass(frozen=True)
class Limits:
    """The guard's defaults (contract, 6)."""

    max_removed_share: float = 0.1
    max_removed: int = 20
    max_updated_share: float = 0.5
    max_updated: int = 100


class CatalogChecker:
    """Checks `catalog`; tests tell it the source's trees and the intended breaks."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        catalog: str = "us",
        *,
        limits: Limits | None = None,
        keep_events: int = 1_000_000,
    ) -> None:
        self.client = client
        self.findings: list[Finding] = []
        self.positions: set[str] = set()
        """All positions that the catalog had, as in `RedisSnapshot.position`."""
        self.tree: Tree = {}
        self.position = ""
        self.may_break = ""
        """Why the history may break now; empty if it may not."""
        self.origins = [ORIGIN]
        """The origins that the catalog may have."""
        self._by_hand = False
        self._epochs: set[str] = set()
        """The epochs known when the break was allowed."""
        self._keys = [f"catalog:{{{catalog}}}:{name}" for name in ("categories", "meta", "events")]
        self._source = f"/catalogs/{catalog}"
        self._limits = limits or Limits()
        self._keep_events = keep_events
        self._raw: dict[bytes, bytes] = {}
        self._children: Counter[str] = Counter()
        self._before = Before({}, frozenset())
        self._offset = START
        self._ids: set[str] = set()
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        self._served: dict[str, list[int]] = {f"{0:016x}": [0]}
        self._answers = 0
        self._answer = 0
        self._approved: set[str] = set()
        self._ignored: set[str] = set()
        self._unseen: list[tuple[str, int, int]] = []

    def source_served(self, tree: Tree) -> None:
        """Record that the source serves `tree` now, so it may become the state.

        Snapshots must be committed in the order in which the source served them: a publisher that
        was overtaken must discard its own (contract, 5.3).
        """
        self._answers += 1
        self._served.setdefault(digest_of(tree), []).append(self._answers)

    def allow_digest(self, digest: str) -> None:
        """Record that the snapshot with `digest` is approved or exempt from the guard."""
        self._approved.add(digest)

    def allow_break(self, why: str, *, by_hand: bool = False) -> None:
        """Allow the history to break until `end_break`, for a reason beyond our control.

        With `by_hand` somebody may also have written what is not consistent. The epoch that a
        publisher starts to repair it must be.
        """
        self.may_break = why
        self._by_hand = by_hand
        self._epochs = {epoch_and_sequence(each)[0] for each in self.positions}

    @property
    def _is_by_hand(self) -> bool:
        return bool(self.may_break) and self._by_hand

    def end_break(self) -> None:
        """Allow no more breaks: from now on the history must continue."""
        self.may_break = ""

    def may_have_been_at(self, position: str) -> bool:
        """Return whether the catalog had `position`, or may have had it unseen."""
        epoch, sequence = epoch_and_sequence(position)
        return position in self.positions or any(
            epoch == of and first < sequence < last for of, first, last in self._unseen
        )

    def was_served(self, digest: str) -> bool:
        """Return whether the source ever served the tree with `digest`."""
        return digest in self._served

    def events_between(self, first: str, last: str, ends: Mapping[str, Ends]) -> list[Event] | None:
        """Return the events from position `first` to `last`; None if not all were seen.

        If several events led to one position, as after a failover, the one that matches `ends` is
        returned.
        """
        events: list[Event] = []
        while last != first:
            if not (candidates := self._events.get(last)):
                return None
            events.append(
                next(
                    (each for each in candidates if ends_of(each) == ends.get(last)), candidates[-1]
                )
            )
            last = position_before(events[-1])
        return events[::-1]

    def event_times(self, position: str) -> set[str]:
        """Return the times of the events that led to `position`; several after a failover."""
        return {event["time"] for event in self._events.get(position, ())}

    def report(self, kind: FindingKind, what: str) -> None:
        """Add a finding, unless it is known."""
        if (finding := Finding(kind, what)) not in self.findings:
            self.findings.append(finding)

    async def check(self) -> None:
        """Check what has happened since the last call. Raises redis-py's errors."""
        if self._is_by_hand:
            await self._ignore_edited_entries()
        snapshot = await self._read(f"({self._offset}")
        if self._connects(snapshot):
            self._check_events([orjson.loads(fields[b"event"]) for _, fields in snapshot.entries])
            self._check_state(snapshot)
        else:
            snapshot = await self._start_over()
        self._check_meta(snapshot)

    async def final_check(self) -> None:
        """Check the whole stream again, from the state back, entry by entry."""
        await self.check()
        snapshot = await self._read("-")
        for what in check_backwards(snapshot, self._source, self._ignored):
            self.report("partial write", f"backwards from {snapshot.position}: {what}")

    async def _read(self, after: str) -> RedisSnapshot:
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._keys[0])
            pipe.hgetall(self._keys[1])
            pipe.xrange(self._keys[2], after)
            rows, meta, entries = await pipe.execute()
        texts = {name.decode(): value.decode(errors="replace") for name, value in meta.items()}
        return RedisSnapshot(rows, texts, [(offset.decode(), fields) for offset, fields in entries])

    def _connects(self, snapshot: RedisSnapshot) -> bool:
        """Return whether the events of `snapshot` connect to the last one, one by one."""
        if not snapshot.entries:
            return snapshot.position == self.position
        events = [event for _, fields in snapshot.entries if (event := event_in(fields))]
        if len(events) < len(snapshot.entries) or not follows(self.position, events[0]):
            return False
        pairs = pairwise(events)
        return not self.may_break or all(follows(one["id"], next_) for one, next_ in pairs)

    async def _start_over(self) -> RedisSnapshot:
        """Continue with what is stored; only an allowed break may lead here."""
        snapshot = await self._read("-")
        trimmed = len(snapshot.entries) >= self._keep_events
        if not (self.may_break or trimmed or (not self.position and not snapshot.entries)):
            self.report(
                "lost", f"no event leads from {self.position or 'nothing'} to {snapshot.position}"
            )
        for what in (
            check_backwards(snapshot, self._source, self._ignored) if not self._is_by_hand else ()
        ):
            self.report("partial write", f"backwards from {snapshot.position}: {what}")
        if trimmed:
            (epoch, first), (_, last) = (
                epoch_and_sequence(self.position),
                epoch_and_sequence(snapshot.position),
            )
            self._unseen.append((epoch, first, last))
        self._adopt(snapshot, excused=self._is_by_hand)
        return snapshot

    async def _ignore_edited_entries(self) -> None:
        """Ignore entries that somebody may have edited, and those before them.

        Entries of a new epoch are not ignored: the publisher wrote them.
        """
        snapshot = await self._read("-")
        if any(check_backwards(snapshot, self._source, self._ignored)):
            edited = (
                offset for offset, fields in snapshot.entries if not self._is_new(event_in(fields))
            )
            self._ignored.update(edited)

    def _is_new(self, event: Event | None) -> bool:
        """Return whether the epoch of `event` is newer than the break."""
        return event is not None and event["epoch"] not in self._epochs

    def _adopt(self, snapshot: RedisSnapshot, *, excused: bool) -> None:
        """Take over what is stored, and check the commits of its epoch that are new.

        Whatever broke the history, the guard must let each of them through. The tree before the
        first one is found by undoing them. If `excused`, events need not fit that tree, since
        somebody may have edited it by hand; the events of a new epoch still must.
        """
        self._ids.clear()
        self._answer = 0
        self._raw = snapshot.rows
        self._offset = snapshot.entries[-1][0] if snapshot.entries else START
        self.tree, self.position, unseen = undo_events(snapshot, self.positions)
        self._children = Counter(row["parent_id"] for row in self.tree.values())
        if self.position and not unseen:
            self._check_adopted(snapshot)
        for event in filter(None, (event_in(fields) for _, fields in snapshot.entries)):
            self._add_event(event)
        self.positions.add(snapshot.position)
        is_excused = excused and not (unseen and self._is_new(unseen[0]))
        self._check_events(unseen, excused=is_excused, is_cut=True)

    def _check_adopted(self, snapshot: RedisSnapshot) -> None:
        if not self.was_served(digest_of(self.tree)) and not any(disagreements(snapshot)):
            self.report("unguarded", f"the source never gave the state at {snapshot.position}")

    def _add_event(self, event: Event) -> None:
        self.positions.add(event["id"])
        if event not in (known := self._events[event["id"]]):
            known.append(event)

    def _check_events(
        self, events: list[Event], *, excused: bool = False, is_cut: bool = False
    ) -> None:
        """Check `events` by commit; if `is_cut`, the first one may be incomplete."""
        for _, commit in groupby(events, lambda event: (event["epoch"], event["time"])):
            of_commit = list(commit)
            self._before = before = Before.of(self.tree, of_commit[0], is_cut=is_cut)
            is_cut = False
            for event in of_commit:
                problems = list(self._check_event(event))
                for kind, what in problems if not excused else ():
                    self.report(kind, what)
            self._check_commit(len(before.tree), of_commit)
            is_judged = not excused and (self._is_new(of_commit[0]) or not self._is_by_hand)
            if is_judged and not is_in_order(before, self.tree, of_commit):
                self.report(
                    "partial write", f"the events up to {of_commit[-1]['id']} are not in order"
                )

    def _check_event(self, event: Event) -> Iterator[tuple[FindingKind, str]]:
        if not follows(self.position, event):
            yield "lost", f"event {event['id']} after {self.position}"
        if event["id"] in self._ids:
            yield "duplicate", f"event {event['id']} occurs twice"
        self._ids.add(event["id"])
        for kind, what in self._apply(event):
            yield kind, f"event {event['id']}: {what}"
        self.position = event["id"]
        self._add_event(event)

    def _apply(self, event: Event) -> Iterator[tuple[FindingKind, str]]:
        """Apply `event` to the tree; yield what is wrong with it."""
        row, before = event["data"]["category"], event["data"].get("before")
        id_, known = row["id"], self.tree.get(row["id"])
        match event["type"]:
            case "category.added":
                if known is not None:
                    yield "duplicate", f"{id_} is added but exists already"
            case "category.updated":
                if known != before:
                    yield "duplicate", f"{id_} was {known}, not {before}"
                if row == before:
                    yield "duplicate", f"{id_} is updated to the same row"
            case "category.removed":
                if known != row:
                    yield "duplicate", f"{id_} was {known}, not {row}"
        self._put(id_, None if event["type"] == "category.removed" else row)
        yield from (("partial write", what) for what in self._orphans(row))

    def _put(self, id_: str, row: Row | None) -> None:
        if (old := self.tree.pop(id_, None)) is not None:
            self._children[old["parent_id"]] -= 1
        if row is not None:
            self.tree[id_] = row
            self._children[row["parent_id"]] += 1

    def _orphans(self, row: Row) -> Iterator[str]:
        """Yield why the tree is not a forest after an event about `row`."""
        if row["id"] not in self.tree:
            if self._children[row["id"]] and row["id"] not in self._before.loose:
                yield f"{row['id']} is removed before its children"
            return
        if (why := not_under_a_root(self.tree, row["id"])) is not None:
            yield why

    def _check_commit(self, before: int, events: list[Event]) -> None:
        digest = events[-1]["data"]["digest"]
        if digest != digest_of(self.tree):
            self.report(
                "partial write", f"event {events[-1]['id']} has not the digest of the rows after it"
            )
        if not self.was_served(digest):
            self.report("unguarded", f"the source never gave the state of {events[-1]['id']}")
        else:
            self._check_order(digest, events[-1]["id"])
        counts = Counter(event["type"] for event in events)
        for name, share, number in (
            ("category.removed", self._limits.max_removed_share, self._limits.max_removed),
            ("category.updated", self._limits.max_updated_share, self._limits.max_updated),
        ):
            too_many = counts[name] > number and counts[name] > share * before
            if too_many and digest not in self._approved:
                self.report("unguarded", f"{name}: {counts[name]} of {before} in one commit")

    def _check_order(self, digest: str, id_: str) -> None:
        answers = self._served[digest]
        first = bisect_left(answers, self._answer)
        if first == len(answers):
            self.report("unguarded", f"the state of {id_} is older than the one before it")
        else:
            self._answer = answers[first]

    def _check_state(self, snapshot: RedisSnapshot) -> None:
        if snapshot.entries:
            self._offset = snapshot.entries[-1][0]
            if snapshot.meta.get("offset") != self._offset and not self.may_break:
                self.report(
                    "partial write",
                    f"meta's offset is {snapshot.meta.get('offset')}, not {self._offset}",
                )
        elif snapshot.rows == self._raw:
            return
        wrong = list(disagreements(snapshot))
        if valid_rows(snapshot) != self.tree:
            wrong.append("the rows are not those that the events lead to")
        if snapshot.position != self.position:
            wrong.append(f"meta is at {snapshot.position}, the events lead to {self.position}")
        for what in wrong if not self._is_by_hand else ():
            self.report("partial write", f"at {snapshot.position}: {what}")
        self._raw = snapshot.rows
        if wrong:
            self._adopt(snapshot, excused=True)

    def _check_meta(self, snapshot: RedisSnapshot) -> None:
        """Check the rest of meta, unless somebody has edited it by hand.

        A commit that only changes the origin has a time that no event has.
        """
        if self._is_by_hand or not snapshot.meta:
            return
        if snapshot.meta.get("contract") != "1":
            self.report(
                "partial write",
                f"at {snapshot.position}: meta's contract is {snapshot.meta.get('contract')}",
            )
        if _parse_json(snapshot.meta.get("origin", "")) not in self.origins:
            self.report(
                "partial write",
                f"at {snapshot.position}: the origin is {snapshot.meta.get('origin')}",
            )
        at = snapshot.meta.get("committed_at", "")
        times = self.event_times(snapshot.position)
        if times and at not in times and len(self.origins) == 1:
            self.report(
                "partial write",
                f"at {snapshot.position}: committed at {at}, its event says {times}",
            )


def _parse_json(origin: str) -> Any:
    try:
        return orjson.loads(origin)
    except ValueError:
        return None
