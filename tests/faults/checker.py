"""A judge that is not the publisher: it follows one catalog from outside and says what is wrong.

It knows the contract alone (`contract`), and nothing of our code. Each look at Redis (`looks`) is
one moment (MULTI/EXEC), so whatever disagrees in it was torn by somebody. The checker goes on after
a finding with what is there, so that one mistake is found once.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson
import redis.asyncio

from tests.faults.redis_snapshots import Look, backwards, disagreements, sound, undone
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

Kind: TypeAlias = Literal["lost", "doubled", "torn", "diverged", "unguarded"]

START: Final = "0-0"


class Finding(NamedTuple):
    """Something that contract 5 forbids.

    lost: a change, or a piece of history, is not there; doubled: an effect twice; torn: state,
    stream, meta, or a copy and its checkpoint, disagree; diverged: at rest and yet not equal;
    unguarded: a snapshot was accepted that the guard withholds, that the source never gave, or
    that another one had overtaken.
    """

    kind: Kind
    what: str


@dataclass(frozen=True)
class Limits:
    """The guard's defaults (contract, 6)."""

    max_removed_share: float = 0.1
    max_removed: int = 20
    max_updated_share: float = 0.5
    max_updated: int = 100


class Checker:
    """Judges the catalog `catalog`. Tell it what the source serves, and which breaks are meant."""

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
        """Every position that the catalog was seen at, as `Look.position` has them."""
        self.tree: Tree = {}
        self.position = ""
        self.may_break = ""
        """Why the history may break off now; empty if it may not."""
        self.origins = [ORIGIN]
        """What the catalog's origin may be."""
        self._by_hand = False
        self._epochs: set[str] = set()
        """Those that were there when the history was broken."""
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
        self._forgiven: set[str] = set()
        self._unseen: list[tuple[str, int, int]] = []

    def served(self, tree: Tree) -> None:
        """Take note that the source gives `tree` now, whole: a state may become that.

        Snapshots are committed in the order in which the source gave them: who was overtaken has to
        throw its own away (contract, 5.3).
        """
        self._answers += 1
        self._served.setdefault(digest_of(tree), []).append(self._answers)

    def approved(self, digest: str) -> None:
        """Take note that somebody approves the snapshot with `digest`, or exempts it."""
        self._approved.add(digest)

    def broken(self, why: str, *, by_hand: bool = False) -> None:
        """Announce that something beyond our control breaks the history now, until `whole`.

        What somebody wrote `by_hand` need not even be whole. A publisher that mends it begins
        another epoch, and that has to be.
        """
        self.may_break = why
        self._by_hand = by_hand
        self._epochs = {epoch_and_sequence(each)[0] for each in self.positions}

    @property
    def _is_by_hand(self) -> bool:
        return bool(self.may_break) and self._by_hand

    def whole(self) -> None:
        """Say that from now on the history goes on again without a break."""
        self.may_break = ""

    def may_have_been_at(self, position: str) -> bool:
        """Tell whether the catalog was seen at `position`, or passed it while events were trimmed."""
        epoch, sequence = epoch_and_sequence(position)
        return position in self.positions or any(
            epoch == of and first < sequence < last for of, first, last in self._unseen
        )

    def was_served(self, digest: str) -> bool:
        """Tell whether the source ever gave the tree with `digest`."""
        return digest in self._served

    def between(self, first: str, last: str, ends: Mapping[str, Ends]) -> list[Event] | None:
        """Return the events that led from position `first` to `last`; None if not all were seen.

        Where several led to the same position, as after a failover, that one is meant which did
        what `ends` has of it.
        """
        events: list[Event] = []
        while last != first:
            if not (noted := self._events.get(last)):
                return None
            events.append(
                next((each for each in noted if ends_of(each) == ends.get(last)), noted[-1])
            )
            last = position_before(events[-1])
        return events[::-1]

    def times_of(self, position: str) -> set[str]:
        """Return when the event was that led to `position`; several times if it came again."""
        return {event["time"] for event in self._events.get(position, ())}

    def found(self, kind: Kind, what: str) -> None:
        """Take down a finding."""
        if (finding := Finding(kind, what)) not in self.findings:
            self.findings.append(finding)

    async def look(self) -> None:
        """Judge what has happened since the last look. Raises redis-py's errors."""
        if self._is_by_hand:
            await self._forgive()
        look = await self._read(f"({self._offset}")
        if self._connects(look):
            self._follow([orjson.loads(fields[b"event"]) for _, fields in look.entries])
            self._judge_state(look)
        else:
            look = await self._begin_anew()
        self._judge_meta(look)

    async def final(self) -> None:
        """Judge the whole stream once more, backwards from the state, entry by entry."""
        await self.look()
        look = await self._read("-")
        for what in backwards(look, self._source, self._forgiven):
            self.found("torn", f"looking back from {look.position}: {what}")

    async def _read(self, after: str) -> Look:
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._keys[0])
            pipe.hgetall(self._keys[1])
            pipe.xrange(self._keys[2], after)
            rows, meta, entries = await pipe.execute()
        texts = {name.decode(): value.decode(errors="replace") for name, value in meta.items()}
        return Look(rows, texts, [(offset.decode(), fields) for offset, fields in entries])

    def _connects(self, look: Look) -> bool:
        """Tell whether what is seen goes on from the last look, event by event."""
        if not look.entries:
            return look.position == self.position
        events = [event for _, fields in look.entries if (event := event_in(fields))]
        if len(events) < len(look.entries) or not follows(self.position, events[0]):
            return False
        pairs = pairwise(events)
        return not self.may_break or all(follows(one["id"], next_) for one, next_ in pairs)

    async def _begin_anew(self) -> Look:
        """Go on from what is there; that the history breaks here must have been announced."""
        look = await self._read("-")
        trimmed = len(look.entries) >= self._keep_events
        if not (self.may_break or trimmed or (not self.position and not look.entries)):
            self.found(
                "lost", f"no event leads from {self.position or 'nothing'} to {look.position}"
            )
        for what in backwards(look, self._source, self._forgiven) if not self._is_by_hand else ():
            self.found("torn", f"looking back from {look.position}: {what}")
        if trimmed:
            (epoch, first), (_, last) = (
                epoch_and_sequence(self.position),
                epoch_and_sequence(look.position),
            )
            self._unseen.append((epoch, first, last))
        self._adopt(look, excused=self._is_by_hand)
        return look

    async def _forgive(self) -> None:
        """Do not look behind those entries any more that somebody may have torn.

        Those of an epoch that began since are the publisher's own.
        """
        look = await self._read("-")
        if any(backwards(look, self._source, self._forgiven)):
            torn = (offset for offset, fields in look.entries if not self._is_new(event_in(fields)))
            self._forgiven.update(torn)

    def _is_new(self, event: Event | None) -> bool:
        """Tell whether `event` is of an epoch that was not there when the history was broken."""
        return event is not None and event["epoch"] not in self._epochs

    def _adopt(self, look: Look, *, excused: bool) -> None:
        """Have what is there, and judge the commits of its epoch that were not seen before.

        Whatever broke the history, each of them has to be one that the guard lets through. What
        the first of them started from is found by undoing them; `excused` are events that fit that
        badly, since somebody may have damaged it by hand, but not those of an epoch begun since.
        """
        self._ids.clear()
        self._answer = 0
        self._raw = look.rows
        self._offset = look.entries[-1][0] if look.entries else START
        self.tree, self.position, unseen = undone(look, self.positions)
        self._children = Counter(row["parent_id"] for row in self.tree.values())
        if self.position and not unseen:
            self._judge_adopted(look)
        for event in filter(None, (event_in(fields) for _, fields in look.entries)):
            self._note(event)
        self.positions.add(look.position)
        is_excused = excused and not (unseen and self._is_new(unseen[0]))
        self._follow(unseen, excused=is_excused, is_cut=True)

    def _judge_adopted(self, look: Look) -> None:
        if not self.was_served(digest_of(self.tree)) and not any(disagreements(look)):
            self.found("unguarded", f"the source never gave the state at {look.position}")

    def _note(self, event: Event) -> None:
        self.positions.add(event["id"])
        if event not in (noted := self._events[event["id"]]):
            noted.append(event)

    def _follow(self, events: list[Event], *, excused: bool = False, is_cut: bool = False) -> None:
        """Judge `events`, commit by commit; of one that `is_cut` the first ones may be missing."""
        for _, commit in groupby(events, lambda event: (event["epoch"], event["time"])):
            of_commit = list(commit)
            self._before = before = Before.of(self.tree, of_commit[0], is_cut=is_cut)
            is_cut = False
            for event in of_commit:
                wrong = list(self._follow_one(event))
                for kind, what in wrong if not excused else ():
                    self.found(kind, what)
            self._judge_commit(len(before.tree), of_commit)
            is_judged = not excused and (self._is_new(of_commit[0]) or not self._is_by_hand)
            if is_judged and not is_in_order(before, self.tree, of_commit):
                self.found("torn", f"the events up to {of_commit[-1]['id']} are not in order")

    def _follow_one(self, event: Event) -> Iterator[tuple[Kind, str]]:
        if not follows(self.position, event):
            yield "lost", f"event {event['id']} behind {self.position}"
        if event["id"] in self._ids:
            yield "doubled", f"event {event['id']} is there twice"
        self._ids.add(event["id"])
        for kind, what in self._apply(event):
            yield kind, f"event {event['id']}: {what}"
        self.position = event["id"]
        self._note(event)

    def _apply(self, event: Event) -> Iterator[tuple[Kind, str]]:
        """Have the tree as `event` leaves it; yield what forbids that."""
        row, before = event["data"]["category"], event["data"].get("before")
        id_, known = row["id"], self.tree.get(row["id"])
        match event["type"]:
            case "category.added":
                if known is not None:
                    yield "doubled", f"{id_} is added, and is there already"
            case "category.updated":
                if known != before:
                    yield "doubled", f"{id_} was {known}, not {before}"
                if row == before:
                    yield "doubled", f"{id_} is updated to what it was"
            case "category.removed":
                if known != row:
                    yield "doubled", f"{id_} was {known}, not {row}"
        self._put(id_, None if event["type"] == "category.removed" else row)
        yield from (("torn", what) for what in self._orphans(row))

    def _put(self, id_: str, row: Row | None) -> None:
        if (old := self.tree.pop(id_, None)) is not None:
            self._children[old["parent_id"]] -= 1
        if row is not None:
            self.tree[id_] = row
            self._children[row["parent_id"]] += 1

    def _orphans(self, row: Row) -> Iterator[str]:
        """Yield why the tree is no forest after an event about `row`."""
        if row["id"] not in self.tree:
            if self._children[row["id"]] and row["id"] not in self._before.loose:
                yield f"{row['id']} is removed before its children"
            return
        if (why := not_under_a_root(self.tree, row["id"])) is not None:
            yield why

    def _judge_commit(self, before: int, events: list[Event]) -> None:
        digest = events[-1]["data"]["digest"]
        if digest != digest_of(self.tree):
            self.found(
                "torn", f"event {events[-1]['id']} is not the digest of the rows it leads to"
            )
        if not self.was_served(digest):
            self.found("unguarded", f"the source never gave the state of {events[-1]['id']}")
        else:
            self._judge_order(digest, events[-1]["id"])
        counts = Counter(event["type"] for event in events)
        for name, share, number in (
            ("category.removed", self._limits.max_removed_share, self._limits.max_removed),
            ("category.updated", self._limits.max_updated_share, self._limits.max_updated),
        ):
            too_many = counts[name] > number and counts[name] > share * before
            if too_many and digest not in self._approved:
                self.found("unguarded", f"{name}: {counts[name]} of {before} in one commit")

    def _judge_order(self, digest: str, id_: str) -> None:
        answers = self._served[digest]
        first = bisect_left(answers, self._answer)
        if first == len(answers):
            self.found("unguarded", f"the state of {id_} is older than the one before it")
        else:
            self._answer = answers[first]

    def _judge_state(self, look: Look) -> None:
        if look.entries:
            self._offset = look.entries[-1][0]
            if look.meta.get("offset") != self._offset and not self.may_break:
                self.found(
                    "torn", f"meta's offset is {look.meta.get('offset')}, not {self._offset}"
                )
        elif look.rows == self._raw:
            return
        wrong = list(disagreements(look))
        if sound(look) != self.tree:
            wrong.append("the rows are not those that the events lead to")
        if look.position != self.position:
            wrong.append(f"meta is at {look.position}, the events lead to {self.position}")
        for what in wrong if not self._is_by_hand else ():
            self.found("torn", f"at {look.position}: {what}")
        self._raw = look.rows
        if wrong:
            self._adopt(look, excused=True)

    def _judge_meta(self, look: Look) -> None:
        """Judge what is in meta besides the position, whoever broke what, but for who edits it.

        A commit of nothing but another origin has a time that no event has.
        """
        if self._is_by_hand or not look.meta:
            return
        if look.meta.get("contract") != "1":
            self.found(
                "torn", f"at {look.position}: meta's contract is {look.meta.get('contract')}"
            )
        if _parsed(look.meta.get("origin", "")) not in self.origins:
            self.found("torn", f"at {look.position}: the origin is {look.meta.get('origin')}")
        at = look.meta.get("committed_at", "")
        times = self.times_of(look.position)
        if times and at not in times and len(self.origins) == 1:
            self.found("torn", f"at {look.position}: committed at {at}, its event says {times}")


def _parsed(origin: str) -> Any:
    try:
        return orjson.loads(origin)
    except ValueError:
        return None
