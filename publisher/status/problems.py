"""Finds what is wrong with a catalog, from its overview alone. Pure.

`status`, its exit code and the page all use `check_catalogs`, so they never disagree.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from publisher.core.schedule import OVERDUE
from publisher.state import keys
from publisher.state.redis_values import parse_number, parse_offset, parse_time
from publisher.status.overview import CatalogOverview

LONGEST_LAG: Final = timedelta(minutes=5)
"""A consumer that is behind for longer is not just busy with the last events."""
CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""The clocks of the publisher and of Redis differ by less."""
WILL_BE_REPAIRED: Final = "the next poll repairs it and starts a new epoch"


class Problem(NamedTuple):
    """One thing that is wrong, as a sentence."""

    text: str
    is_hold: bool = False
    """Whether it is a held snapshot, which only needs an approval."""


class CheckedCatalog(NamedTuple):
    """A catalog's overview and the problems found in it."""

    overview: CatalogOverview
    problems: list[Problem]


def check_catalogs(
    overviews: Iterable[CatalogOverview], configured: Collection[str], now: datetime
) -> list[CheckedCatalog]:
    """Find the problems of each catalog. Those `configured` here have to be polled."""
    return [
        CheckedCatalog(each, find_problems(each, now, is_configured=each.catalog in configured))
        for each in overviews
    ]


def find_problems(
    overview: CatalogOverview, now: datetime, *, is_configured: bool = True
) -> list[Problem]:
    """Return all problems of a catalog; it has to be polled if `is_configured` here."""
    return [
        *state_problems(overview, is_configured=is_configured),
        *map(Problem, integrity_problems(overview)),
        *(poll_problems(overview, now) if is_configured else ()),
        *lag_problems(overview),
    ]


def integrity_problems(overview: CatalogOverview) -> Iterator[str]:
    """Yield a sentence for each key that does not have what `meta` says.

    Compares counts and offsets only. Every poll reads the whole state and repairs it if it does
    not have `meta`'s digest (contract, 5.2); no poll reads the events.
    """
    meta = overview.meta
    if not meta or overview.error:
        return
    key = partial(keys.key, overview.catalog)
    count, sequence = parse_number(meta.get("count")), parse_number(meta.get("sequence"))
    last = parse_offset(meta.get("offset"))
    if count is None or sequence is None or last is None:
        yield f"Redis key {key('meta')} is damaged: {WILL_BE_REPAIRED}"
        return
    found = parse_offset(overview.last_event) or (0, 0)
    if found > last:
        return  # there was a commit after `meta` was read, so its numbers are old
    if overview.rows != count:
        rows = f"{overview.rows} of {count} rows"
        yield f"Redis key {key('categories')} has {rows}: {WILL_BE_REPAIRED}"
    committed, limit = parse_time(meta.get("committed_at")), CLOCK_DIFFERENCE.total_seconds()
    # a commit that only changes the origin writes no event, and may trim those of earlier commits
    offset_is_from_last_commit = (
        committed is not None and committed.timestamp() - last[0] / 1000 < limit
    )
    if found < last and sequence and offset_is_from_last_commit:
        yield (
            f"Redis key {key('events')} has lost its last event: a consumer that has not read it "
            "resyncs, and the next change goes on from there"
        )


def state_problems(overview: CatalogOverview, *, is_configured: bool) -> Iterator[Problem]:
    """Yield what is wrong with the last poll, the state and the hold."""
    status, hold = overview.status, overview.hold
    if overview.error:
        yield Problem(f"the catalog cannot be read: {overview.error}")
    elif not status:
        if is_configured:
            yield Problem("the catalog was never polled: is `category-publisher run` running?")
    elif status.get("outcome") == "failed":
        yield Problem(f"the last poll failed: {status.get('error', '')}")
    elif not overview.meta and hold is None:
        yield Problem("its state is gone: the next poll writes it again")
    if hold is not None:
        since = hold.since or "an unknown time"
        yield Problem(f"a snapshot has been held since {since}", is_hold=True)


def poll_problems(overview: CatalogOverview, now: datetime) -> Iterator[Problem]:
    """Yield a problem if the next poll is overdue."""
    due = parse_time(overview.status.get("next_poll_at"))
    if due is not None and now - due > OVERDUE:
        yield Problem(
            f"its poll is overdue by {(now - due) // timedelta(minutes=1)} minutes: is "
            "`category-publisher run` running, and can it write to Redis?"
        )


def lag_problems(overview: CatalogOverview) -> Iterator[Problem]:
    """Yield a problem for each consumer that has been behind for long."""
    for name, lag in sorted(overview.lags.items()):
        if lag.events != 0 and lag.seconds > LONGEST_LAG.total_seconds():
            where = "in another epoch" if lag.events is None else f"{lag.events} events behind"
            minutes = int(lag.seconds // 60)
            yield Problem(f"consumer {name} has been {where} for {minutes} minutes: is it running?")
