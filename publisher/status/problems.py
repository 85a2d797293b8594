"""Is everything fine? Judges what `overview` gives of a catalog: pure.

Used wherever it is asked: `status` and its exit code, the page.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from publisher.core.schedule import OVERDUE
from publisher.state import keys
from publisher.state.redis_values import moment, number, offset

SLOW: Final = timedelta(minutes=5)
"""A consumer that is behind for longer does not just happen to be at work."""
CLOCKS: Final = timedelta(minutes=1)
"""The publisher's clock and that of Redis do not differ by more."""
REPAIRED: Final = "the next poll repairs that, and a new epoch begins"


class Problem(NamedTuple):
    """What is not fine about a catalog, as a sentence."""

    what: str
    held: bool = False
    """It waits for somebody's approval, and for nothing else."""


def problems(catalog: Mapping[str, Any], now: datetime, *, kept: bool = True) -> list[Problem]:
    """Return what is not fine about `catalog`, one of `overview.read_overviews`.

    `kept`: it is configured here, so somebody should poll it.
    """
    return [
        *_of_state(catalog, kept=kept),
        *map(Problem, integrity_problems(catalog)),
        *_of_polls(catalog, now, kept=kept),
        *_of_lags(catalog),
    ]


def _of_state(catalog: Mapping[str, Any], *, kept: bool) -> Iterator[Problem]:
    status, hold = catalog["status"], catalog["hold"]
    if catalog["error"]:
        yield Problem(f"it cannot be read: {catalog['error']}")
    elif not status:
        if kept:
            yield Problem("it was never polled: does `category-publisher run` run?")
    elif status.get("outcome") == "failed":
        yield Problem(f"the last poll failed: {status.get('error', '')}")
    elif not catalog["meta"] and hold is None:
        yield Problem("its state is gone: the next poll writes it anew")
    if hold is not None:
        yield Problem(f"a snapshot is held since {hold.since}", held=True)


def _of_polls(catalog: Mapping[str, Any], now: datetime, *, kept: bool) -> Iterator[Problem]:
    due = moment(catalog["status"].get("next_poll_at"))
    if kept and due is not None and now - due > OVERDUE:
        minutes = (now - due) // timedelta(minutes=1)
        yield Problem(
            f"its poll is overdue by {minutes} minutes: does `category-publisher run` run, and can "
            "it write to Redis?"
        )


def _of_lags(catalog: Mapping[str, Any]) -> Iterator[Problem]:
    for name, lag in sorted(catalog["lags"].items()):
        if lag.events != 0 and lag.seconds > SLOW.total_seconds():
            minutes = int(lag.seconds // 60)
            behind = "in another epoch" if lag.events is None else f"{lag.events} events behind"
            yield Problem(f"consumer {name} is {behind} for {minutes} minutes: does it run?")


def integrity_problems(catalog: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is lost or damaged of `catalog`, one of `overview.read_overviews`, as sentences.

    Nothing where there is no `meta` that says what should be there.
    """
    meta = catalog["meta"]
    if not meta or catalog["error"]:
        return
    key = partial(keys.key, catalog["catalog"])
    count, sequence, last = (
        number(meta.get("count")),
        number(meta.get("sequence")),
        offset(meta.get("offset")),
    )
    if count is None or sequence is None or last is None:
        yield f"Redis key {key('meta')} is damaged: {REPAIRED}"
        return
    found = offset(catalog["last_event"]) or (0, 0)
    if found > last:
        return  # of a commit since `meta` was read
    if catalog["rows"] != count:
        yield f"Redis key {key('categories')} has {catalog['rows']} of {count} rows: {REPAIRED}"
    if found < last and sequence and _has_events(meta, last[0]):
        yield (
            f"Redis key {key('events')} has lost its last event: a consumer that has not read it "
            "resyncs, and the next change goes on from there"
        )


def _has_events(meta: Mapping[str, str], milliseconds: int) -> bool:
    """Tell whether the last commit wrote events, at that time of Redis: nothing trimmed them yet.

    One of a new origin alone wrote none, and may have trimmed those that were there.
    """
    committed = moment(meta.get("committed_at"))
    is_of = committed and committed.timestamp() - milliseconds / 1000 < CLOCKS.total_seconds()
    return bool(is_of)
