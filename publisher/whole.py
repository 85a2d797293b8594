"""Do a catalog's keys fit together? Told from `overview` alone, without reading the state: pure.

Every poll reads the state whole and repairs it where it has not `meta`'s digest (contract, 5.2).
Until then, and for the events, which no poll reads, this finds what is missing by its number.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from publisher.state import keys
from publisher.state.redis_values import moment, number, offset

CLOCKS: Final = timedelta(minutes=1)
"""The publisher's clock and that of Redis do not differ by more."""
REPAIRED: Final = "the next poll repairs that, and a new epoch begins"


def faults(catalog: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is lost or damaged of `catalog`, one of `overview.overviews`, as sentences.

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
