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
from publisher.core.event import Position, data
from publisher.core.guard import Limits, hold_reasons
from publisher.core.model import Change, Counts, count
from publisher.core.snapshot import Snapshot
from publisher.errors import Held, NoHold, OriginChanged, RaceLost
from publisher.polling.cache import CatalogCache, StateCache
from publisher.sources import Source
from publisher.state.commit import Commit
from publisher.state.store import PollStart, State, Store

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
    max_age: timedelta = timedelta(days=30)
    max_events: int = 1_000_000
    poll_every: timedelta = timedelta(hours=1)
    state_cache: StateCache | None = None
    """Kept between polls; None if this poll is the only one."""

    @property
    def cache(self) -> CatalogCache:
        """What is known of the last poll."""
        return (
            self.state_cache.of(self.store)
            if self.state_cache
            else CatalogCache(self.store, keeps=False)
        )


@dataclass(frozen=True)
class Comparison:
    """What a look at the source found, against the state at one position."""

    state: State
    snapshot: Snapshot
    changes: list[Change]
    hold_reasons: list[str]
    new_origin: bool
    """Whether the origin is another than meta's, and that was accepted."""

    @property
    def counts(self) -> Counts:
        """How many changes of each type."""
        return count(self.changes)


class PollResult(NamedTuple):
    """What came of a poll."""

    outcome: Outcome
    counts: Counts
    position: Position | None
    """Where the state is now; None if there is none yet."""
    warnings: tuple[str, ...]
    repaired: bool = False
    hold: dict[str, Any] | None = None
    damaged: bool = False
    """The state is damaged, and stays so since its repair is held."""


async def compare(catalog: Catalog, *, accept_origin: bool = False) -> Comparison:
    """Ask the source and compare with the state; write no key.

    Raises OriginChanged, RaceLost, and what source and snapshot refuse.
    """
    noted = await catalog.store.read_position()
    new_origin = _check_origin(catalog, noted, accept=accept_origin)
    cache = catalog.cache
    snapshot = cache.decoded(await catalog.source.fetch())
    state = await cache.state(noted)
    if state.stored_position != noted.stored_position:
        raise RaceLost(f"catalog {catalog.name}: another publisher has committed meanwhile")
    changes = diff(state.tree, snapshot.tree)
    if not changes:
        cache.share_tree(snapshot, state)
    if catalog.state_cache:
        await catalog.state_cache.evict()
    found = [] if new_origin else hold_reasons(count(changes), len(state.tree), catalog.limits)
    return Comparison(state, snapshot, changes, found, new_origin)


async def poll_once(
    catalog: Catalog, *, approve: str | None = None, accept_origin: bool = False
) -> PollResult:
    """Do one whole round and return what came of it.

    `approve` is the digest of a held snapshot: it is committed if the source still gives just
    that one, and anything else is held, whatever it is. Raises as `look` does.
    """
    await catalog.store.register()
    found = await compare(catalog, accept_origin=accept_origin)
    approved = approve == digests.text(found.snapshot.digest) if approve else False
    if found.hold_reasons and not approved:
        return await _hold(catalog, found)
    if approve and not approved:
        await catalog.store.delete_hold()
        return PollResult("held", found.counts, found.state.position, found.snapshot.warnings)
    return await _accept(catalog, found)


async def approve(catalog: Catalog, digest: str) -> PollResult:
    """Commit the held snapshot with `digest` if the source still gives it (contract, 6).

    Raises NoHold if nothing is held, Held if the source gives another snapshot now; then nothing
    but the hold is written, as it now is.
    """
    if await catalog.store.read_hold() is None:
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


def _check_origin(catalog: Catalog, noted: PollStart, *, accept: bool) -> bool:
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


async def _accept(catalog: Catalog, found: Comparison) -> PollResult:
    position = found.state.position
    if found.changes or position is None or found.new_origin:
        commit = _commit(catalog, found, clock.now())
        position = await catalog.store.commit(commit)
    elif await catalog.store.read_hold() is not None:
        await catalog.store.delete_hold()
    outcome: Outcome = "changed" if found.changes else "unchanged"
    repaired = found.state.damaged
    return PollResult(outcome, found.counts, position, found.snapshot.warnings, repaired)


def _commit(catalog: Catalog, found: Comparison, now: datetime) -> Commit:
    return Commit(
        expected=found.state.stored_position,
        start=found.state.position or _new_epoch(found.state),
        count=len(found.snapshot.tree),
        origin=catalog.origin,
        committed_at=clock.rfc3339(now),
        changes=found.changes,
        invalid_fields=found.state.invalid_fields,
        max_age_ms=catalog.max_age // timedelta(milliseconds=1),
        max_events=catalog.max_events,
    )


def _new_epoch(state: State) -> Position:
    """Return the start of a new history: of a first commit's, or of a repair's (contract, 5.2)."""
    return Position(secrets.token_hex(4), 0, digests.of(state.tree.values()))


async def _hold(catalog: Catalog, found: Comparison) -> PollResult:
    digest = digests.text(found.snapshot.digest)
    known = await catalog.store.read_hold()
    hold = {
        "digest": digest,
        "since": clock.rfc3339(clock.now()),
        "reasons": found.hold_reasons,
        **found.counts._asdict(),
        "first": [
            {"type": f"category.{change.type}", **data(change)}
            for change in found.changes[:FIRST_CHANGES]
        ],
    }
    if known is not None and known.get("digest") == digest:
        hold["since"] = known.get("since", hold["since"])
    if hold != known:
        await catalog.store.write_hold(hold)
    return PollResult(
        "held",
        found.counts,
        found.state.position,
        found.snapshot.warnings,
        hold=hold,
        damaged=found.state.damaged,
    )
