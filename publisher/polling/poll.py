"""One round: note the position, ask the source, diff against the state, guard, commit.

The order is the contract's (5.3): position before fetch. Whoever is killed anywhere in between
has written nothing, and the next poll goes on.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from plumbing import clock
from publisher.core import digest as digests
from publisher.core.diff import diff
from publisher.core.event import Place, data
from publisher.core.guard import Limits, objections
from publisher.core.model import Change, Counts, count
from publisher.core.snapshot import Snapshot
from publisher.errors import Held, NoHold, OriginChanged, RaceLost
from publisher.polling.cache import Memory, Remembered
from publisher.sources import Source
from publisher.state.commit import Commit
from publisher.state.store import Noted, State, Store

FIRST_CHANGES: Final = 10
"""How many of its changes a hold shows."""

Outcome = Literal["changed", "unchanged", "held"]


@dataclass(frozen=True)
class Catalog:
    """One category tree that is kept in sync, with all that a poll of it needs."""

    name: str
    origin: dict[str, Any]
    source: Source
    store: Store
    limits: Limits = field(default_factory=Limits)
    keep_for: timedelta = timedelta(days=30)
    keep_events: int = 1_000_000
    poll_every: timedelta = timedelta(hours=1)
    memory: Memory | None = None
    """Kept between polls; None if this poll is the only one."""

    @property
    def remembered(self) -> Remembered:
        """What is known of the last poll."""
        return self.memory.of(self.store) if self.memory else Remembered(self.store, keeps=False)


@dataclass(frozen=True)
class Finding:
    """What a look at the source found, against the state at one position."""

    state: State
    snapshot: Snapshot
    changes: list[Change]
    objections: list[str]
    new_origin: bool
    """Whether the origin is another than meta's, and that was accepted."""

    @property
    def counts(self) -> Counts:
        """How many changes of each type."""
        return count(self.changes)


class Polled(NamedTuple):
    """What came of a poll."""

    outcome: Outcome
    counts: Counts
    place: Place | None
    """Where the state is now; None if there is none yet."""
    warnings: tuple[str, ...]
    repaired: bool = False
    hold: dict[str, Any] | None = None
    damaged: bool = False
    """The state is damaged, and stays so since its repair is held."""


async def look(catalog: Catalog, *, accept_origin: bool = False) -> Finding:
    """Ask the source and compare with the state; write no key.

    Raises OriginChanged, RaceLost, and what source and snapshot refuse.
    """
    noted = await catalog.store.note()
    new_origin = _check_origin(catalog, noted, accept=accept_origin)
    remembered = catalog.remembered
    snapshot = remembered.decoded(await catalog.source.fetch())
    state = await remembered.state(noted)
    if state.position != noted.position:
        raise RaceLost(f"catalog {catalog.name}: another publisher has committed meanwhile")
    changes = diff(state.tree, snapshot.tree)
    if not changes:
        remembered.agreed(snapshot, state)
    if catalog.memory:
        await catalog.memory.shrink()
    found = [] if new_origin else objections(count(changes), len(state.tree), catalog.limits)
    return Finding(state, snapshot, changes, found, new_origin)


async def poll_once(
    catalog: Catalog, *, approve: str | None = None, accept_origin: bool = False
) -> Polled:
    """Do one whole round and return what came of it.

    `approve` is the digest of a held snapshot: it is committed if the source still gives just
    that one, and anything else is held, whatever it is. Raises as `look` does.
    """
    await catalog.store.register()
    found = await look(catalog, accept_origin=accept_origin)
    approved = approve == digests.text(found.snapshot.digest) if approve else False
    if found.objections and not approved:
        return await _hold(catalog, found)
    if approve and not approved:
        await catalog.store.clear_hold()
        return Polled("held", found.counts, found.state.place, found.snapshot.warnings)
    return await _accept(catalog, found)


async def approve(catalog: Catalog, digest: str) -> Polled:
    """Commit the held snapshot with `digest` if the source still gives it (contract, 6).

    Raises NoHold if nothing is held, Held if the source gives another snapshot now; then nothing
    but the hold is written, as it now is.
    """
    if await catalog.store.hold() is None:
        raise NoHold(f"catalog {catalog.name}: nothing is held, so there is nothing to approve")
    polled = await poll_once(catalog, approve=digest)
    if polled.outcome != "held":
        return polled
    if polled.hold is None:
        raise Held(
            f"catalog {catalog.name}: the source now gives another snapshot than {digest}, and a "
            "plausible one: the hold is gone, nothing was committed; the next poll commits it"
        )
    raise Held(
        f"catalog {catalog.name}: the source now gives the snapshot {polled.hold['digest']}, not "
        f"{digest}: nothing was committed; look at it with `category-publisher diff "
        f"{catalog.name}` and approve that one"
    )


def _check_origin(catalog: Catalog, noted: Noted, *, accept: bool) -> bool:
    """Return whether the origin is a new one that is accepted; OriginChanged if not accepted."""
    if noted.origin is None or noted.origin == catalog.origin:
        return False
    if accept:
        return True
    before, after = noted.origin, catalog.origin
    different = "; ".join(
        f"{field} was {before.get(field)!r}, is {after.get(field)!r}"
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    )
    raise OriginChanged(
        f"catalog {catalog.name}: its origin has changed ({different}), which would look like a "
        "change of every category: give the new origin a name of its own, or accept it with "
        f"`category-publisher sync {catalog.name} --accept-origin`"
    )


async def _accept(catalog: Catalog, found: Finding) -> Polled:
    place = found.state.place
    if found.changes or place is None or found.new_origin:
        commit = _commit(catalog, found, clock.now())
        place = await catalog.store.commit(commit)
    elif await catalog.store.hold() is not None:
        await catalog.store.clear_hold()
    outcome: Outcome = "changed" if found.changes else "unchanged"
    repaired = found.state.damaged
    return Polled(outcome, found.counts, place, found.snapshot.warnings, repaired)


def _commit(catalog: Catalog, found: Finding, now: datetime) -> Commit:
    return Commit(
        expected=found.state.position,
        start=found.state.place or _new_epoch(found.state),
        count=len(found.snapshot.tree),
        origin=catalog.origin,
        committed_at=clock.rfc3339(now),
        changes=found.changes,
        rubbish=found.state.rubbish,
        keep_ms=catalog.keep_for // timedelta(milliseconds=1),
        keep_events=catalog.keep_events,
    )


def _new_epoch(state: State) -> Place:
    """Return the start of a new history: of a first commit's, or of a repair's (contract, 5.2)."""
    return Place(secrets.token_hex(4), 0, digests.of(state.tree.values()))


async def _hold(catalog: Catalog, found: Finding) -> Polled:
    digest = digests.text(found.snapshot.digest)
    known = await catalog.store.hold()
    hold = {
        "digest": digest,
        "since": clock.rfc3339(clock.now()),
        "reasons": found.objections,
        **found.counts._asdict(),
        "first": [
            {"type": f"category.{change.type}", **data(change)}
            for change in found.changes[:FIRST_CHANGES]
        ],
    }
    if known is not None and known.get("digest") == digest:
        hold["since"] = known.get("since", hold["since"])
    if hold != known:
        await catalog.store.set_hold(hold)
    return Polled(
        "held",
        found.counts,
        found.state.place,
        found.snapshot.warnings,
        hold=hold,
        damaged=found.state.damaged,
    )
