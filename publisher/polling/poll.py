"""One poll: read the position, fetch a snapshot, diff, guard, commit.

The position is read before the source is asked (contract, 5.3). A poll that is killed before its
commit has written nothing to state, events and meta, and the next poll goes on from there.
"""

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple

from plumbing import clock
from publisher.core import digest as digests
from publisher.core.diff import diff
from publisher.core.event import Position, data
from publisher.core.guard import Limits, hold_reasons
from publisher.core.model import Change, Counts, Hold, Origin, count
from publisher.core.snapshot import Snapshot
from publisher.errors import Held, NoHold, OriginChanged, RaceLost
from publisher.polling.cache import CatalogCache, StateCache
from publisher.sources import Source
from publisher.state.commit import Commit
from publisher.state.store import State, Store

FIRST_CHANGES: Final = 10
"""Changes that a hold shows."""

Outcome = Literal["changed", "unchanged", "held"]


@dataclass(frozen=True)
class Catalog:
    """One category tree that is kept in sync, with all that a poll of it needs."""

    name: str
    origin: Origin
    source: Source
    store: Store
    limits: Limits
    max_age: timedelta
    """How long events stay in the stream before they are trimmed."""
    max_events: int
    """The most events in the stream; older ones are trimmed."""
    poll_every: timedelta
    state_cache: StateCache | None
    """The cache for many polls; None if there is only one poll."""

    @property
    def cache(self) -> CatalogCache:
        """The catalog's cache; one that keeps nothing if there is only one poll."""
        if self.state_cache is None:
            return CatalogCache(self.store, keeps=False)
        return self.state_cache.get_or_create(self.store)


@dataclass(frozen=True)
class Comparison:
    """A snapshot compared with the state at one position."""

    state: State
    snapshot: Snapshot
    changes: list[Change]
    hold_reasons: list[str]
    """Why the snapshot must be held; empty if its changes are plausible."""
    has_new_origin: bool
    """Whether the origin differs from meta's and was accepted."""

    @property
    def counts(self) -> Counts:
        """The number of changes of each type."""
        return count(self.changes)


class PollResult(NamedTuple):
    """The result of a poll that did not fail."""

    outcome: Outcome
    counts: Counts
    position: Position | None
    """The state's position; None without a state, or if a damaged state's repair is held."""
    warnings: tuple[str, ...]
    is_repaired: bool = False
    hold: Hold | None = None
    """Set if and only if the outcome is `held`."""
    is_damaged: bool = False
    """The state is damaged and stays so, since its repair is held."""


async def compare(catalog: Catalog, *, accept_origin: bool = False) -> Comparison:
    """Fetch a snapshot and compare it with the state; write no key.

    Raises OriginChanged, RaceLost, and the errors of the source, the snapshot and the store.
    """
    start = await catalog.store.read_position()
    new_origin = _check_origin(catalog, start.origin, accept=accept_origin)
    cache = catalog.cache
    snapshot = cache.decode(await catalog.source.fetch())
    state = await cache.read_state(start)
    if state.stored_position != start.stored_position:
        raise RaceLost(f"catalog {catalog.name}: another publisher has committed meanwhile")
    changes = diff(state.tree, snapshot.tree)
    if not changes:
        cache.share_tree(snapshot, state)
    if catalog.state_cache:
        await catalog.state_cache.evict()
    # An accepted origin is exempt from the guard: it may change every category (contract, 5.11).
    reasons = [] if new_origin else hold_reasons(count(changes), len(state.tree), catalog.limits)
    return Comparison(state, snapshot, changes, reasons, new_origin)


async def poll_once(catalog: Catalog, *, accept_origin: bool = False) -> PollResult:
    """Poll once: commit the changes, or hold the snapshot.

    Raises as `compare` does, and RaceLost if another publisher commits first.
    """
    await catalog.store.register()
    comparison = await compare(catalog, accept_origin=accept_origin)
    if not comparison.hold_reasons:
        return await _accept(catalog, comparison)
    return PollResult(
        "held",
        comparison.counts,
        comparison.state.position,
        comparison.snapshot.warnings,
        hold=await _ensure_hold(catalog, comparison),
        is_damaged=comparison.state.is_damaged,
    )


async def approve(catalog: Catalog, digest: str) -> PollResult:
    """Fetch the snapshot again and commit it if it still has `digest` (contract, 6).

    Raises NoHold if nothing is held, and Held if the source returns another snapshot now; then
    only the hold is written or deleted. Also raises what `poll_once` raises.
    """
    if await catalog.store.read_hold() is None:
        raise NoHold(f"catalog {catalog.name}: nothing is held, so there is nothing to approve")
    await catalog.store.register()
    comparison = await compare(catalog)
    if digests.text(comparison.snapshot.digest) == digest:
        return await _accept(catalog, comparison)
    if not comparison.hold_reasons:
        await catalog.store.delete_hold()
        raise Held(
            f"catalog {catalog.name}: the source now returns another snapshot than {digest}, which "
            "is plausible: the hold was deleted, nothing was committed; the next poll commits it"
        )
    hold = await _ensure_hold(catalog, comparison)
    raise Held(
        f"catalog {catalog.name}: the source now returns the snapshot {hold.digest}, not "
        f"{digest}: nothing was committed; check it with `category-publisher diff "
        f"{catalog.name}` and approve that one"
    )


def _check_origin(catalog: Catalog, stored: dict[str, Any] | None, *, accept: bool) -> bool:
    """Return whether the origin is a new one that is accepted (contract, 5.11).

    A missing or an unknown field makes another origin too: another version may have written it.
    Raises OriginChanged if it is a new one that is not accepted.
    """
    configured = asdict(catalog.origin)
    if stored is None or stored == configured:
        return False
    if accept:
        return True
    before = {name: repr(value) for name, value in stored.items()}
    after = {name: repr(value) for name, value in configured.items()}
    different = "; ".join(
        f"{name} was {before.get(name, 'missing')}, is {after.get(name, 'missing')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
    raise OriginChanged(
        f"catalog {catalog.name}: its origin has changed ({different}), which could change every "
        "category: publish the new origin under another catalog name, or accept it with "
        f"`category-publisher sync {catalog.name} --accept-origin`"
    )


async def _accept(catalog: Catalog, comparison: Comparison) -> PollResult:
    """Commit if anything changed, and delete a hold; return the result.

    Without a change nothing is committed (contract, 5.4). A first commit and a repair start a new
    epoch (contract, 5.2).
    """
    state, changes = comparison.state, comparison.changes
    position = state.position
    if changes or position is None or comparison.has_new_origin:
        commit = Commit(
            expected=state.stored_position,
            start=position or Position(secrets.token_hex(4), 0, digests.of(state.tree.values())),
            count=len(comparison.snapshot.tree),
            origin=catalog.origin,
            committed_at=clock.rfc3339(clock.now()),
            changes=changes,
            invalid_fields=state.invalid_fields,
            max_age_ms=catalog.max_age // timedelta(milliseconds=1),
            max_events=catalog.max_events,
        )
        position = await catalog.store.commit(commit)  # which deletes the hold as well
    elif await catalog.store.read_hold() is not None:
        await catalog.store.delete_hold()
    outcome: Outcome = "changed" if changes else "unchanged"
    warnings = comparison.snapshot.warnings
    return PollResult(outcome, comparison.counts, position, warnings, is_repaired=state.is_damaged)


async def _ensure_hold(catalog: Catalog, comparison: Comparison) -> Hold:
    """Return the hold of the snapshot; write it unless it is stored already."""
    digest = digests.text(comparison.snapshot.digest)
    stored = await catalog.store.read_hold()
    since = stored.since if stored and stored.digest == digest else ""
    hold = Hold(
        digest=digest,
        since=since or clock.rfc3339(clock.now()),
        reasons=tuple(comparison.hold_reasons),
        **comparison.counts._asdict(),
        first=tuple(
            {"type": f"category.{change.type}", **data(change)}
            for change in comparison.changes[:FIRST_CHANGES]
        ),
    )
    if hold != stored:
        await catalog.store.write_hold(hold)
    return hold
