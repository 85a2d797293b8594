"""Reads what Redis holds about catalogs, for `status`, metrics and page.

Many catalogs are read in one pipeline, since ten thousand one after the other would take seconds.
So the parts of a catalog are not of exactly one moment: a consumer may be ahead of `meta` briefly.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, NamedTuple, Self

import redis.exceptions

from plumbing import clock
from plumbing.errors import RedisError
from plumbing.redis.error_advice import advice_for, is_wrong_type
from plumbing.redis.replies import as_text, as_texts, chunks
from plumbing.redis.server import Client, Transaction
from publisher.core.model import Hold, parse_object
from publisher.state import keys
from publisher.state.redis_values import parse_number, parse_offset, parse_time

CATALOGS_PER_PIPELINE: Final = 500
"""About 3,500 short replies, seven for each catalog."""
SEQUENCE_LIMIT: Final = 2**63
"""A sequence, and each half of an offset that Redis takes, is less (contract, 2)."""
READS: Final[Mapping[str, Callable[[Transaction, str], object]]] = {
    "meta": lambda pipe, key: pipe.hgetall(key),
    "status": lambda pipe, key: pipe.hgetall(key),
    "consumers": lambda pipe, key: pipe.hgetall(key),
    "hold": lambda pipe, key: pipe.get(key),
    "lease": lambda pipe, key: pipe.get(key),
    "categories": lambda pipe, key: pipe.hlen(key),
    "events": lambda pipe, key: pipe.xrevrange(key, count=1),
}
"""How each of a catalog's keys is read, in this order: the last event comes last, so that a commit
made after `meta` was read can be recognized."""


class Lag(NamedTuple):
    """How far a consumer is behind; 0 and 0 if it is in sync."""

    events: int | None
    """None if unknown: another epoch, or a checkpoint that cannot be read."""
    seconds: float
    """Time since the first commit that it has not applied; the real time is longer if its events
    were trimmed."""


@dataclass(frozen=True)
class CatalogOverview:
    """What Redis holds about one catalog.

    A part that could not be read is shown as absent.
    """

    catalog: str
    """The catalog's name."""
    error: str
    """Why some part could not be read; empty if all could."""
    meta: Mapping[str, str]
    status: Mapping[str, str]
    """The result of the last poll."""
    hold: Hold | None
    lease: str | None
    """The lease's owner."""
    consumers: Mapping[str, Mapping[str, Any] | None]
    """Each consumer's name and published checkpoint; None if that is not a JSON object."""
    rows: int | None
    """The number of categories in the state."""
    last_event: str | None
    """The offset of the stream's last event."""
    lags: dict[str, Lag]
    """Each consumer's name and lag."""

    @classmethod
    def from_replies(cls, name: str, replies: Sequence[Any]) -> Self:
        """Parse the replies to READS. The lags have no seconds yet."""
        parts = dict(zip(READS, replies, strict=True))
        errors = {part: reply for part, reply in parts.items() if isinstance(reply, Exception)}
        parts |= dict.fromkeys(errors)
        meta = as_texts(parts["meta"] or {})
        checkpoints = {
            as_text(consumer): parse_object(value)
            for consumer, value in (parts["consumers"] or {}).items()
        }
        return cls(
            catalog=name,
            error=_describe_errors(name, errors),
            meta=meta,
            status=as_texts(parts["status"] or {}),
            hold=None if parts["hold"] is None else Hold.from_json(parts["hold"]),
            lease=as_text(parts["lease"]) or None,
            consumers=checkpoints,
            rows=parts["categories"],
            last_event=as_text(parts["events"][0][0]) if parts["events"] else None,
            lags={
                consumer: Lag(_events_behind(meta, checkpoint), 0.0)
                for consumer, checkpoint in checkpoints.items()
            },
        )

    @property
    def outcome(self) -> str:
        """The last poll's outcome, or why there is none."""
        return self.status.get("outcome") or ("unreadable" if self.error else "never polled")

    def to_json(self) -> dict[str, Any]:
        """Return the object that `status --json` prints, to be encoded by orjson."""
        return {**vars(self), "lags": {name: lag._asdict() for name, lag in self.lags.items()}}


async def read_catalog_names(client: Client) -> list[str]:
    """Return the sorted names of all catalogs that were ever polled.

    Raises RedisError if the key is not a set.
    """
    try:
        return sorted(as_text(name) for name in await client.smembers(keys.CATALOGS))
    except redis.exceptions.ResponseError as error:
        if not is_wrong_type(error):
            raise
        raise RedisError(_describe_foreign_keys(f"{keys.CATALOGS} is not a set")) from error


async def read_statuses(client: Client, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the `status` hash of each catalog of `names`; empty if there is none."""
    found = {}
    async for chunk in _read_parts(client, names, ["status"]):
        for name, (reply,) in chunk:
            if isinstance(reply, Exception) and not is_wrong_type(reply):
                raise reply
            found[name] = {} if isinstance(reply, Exception) else as_texts(reply)
    return found


async def read_overviews(client: Client, names: Sequence[str]) -> list[CatalogOverview]:
    """Return the overview of each catalog of `names`, in their order."""
    found = []
    async for chunk in _read_parts(client, names, READS):
        overviews = [CatalogOverview.from_replies(name, replies) for name, replies in chunk]
        await _measure_lags(client, overviews)
        found += overviews
    return found


async def _read_parts(
    client: Client, names: Sequence[str], parts: Collection[str]
) -> AsyncIterator[list[tuple[str, list[Any]]]]:
    """Yield each catalog with the replies for its `parts`, one pipeline at a time."""
    for chunk in chunks(names, CATALOGS_PER_PIPELINE):
        async with client.pipeline(transaction=False) as pipe:
            for name, part in product(chunk, parts):
                READS[part](pipe, keys.key(name, part))
            replies = iter(await pipe.execute(raise_on_error=False))
        yield [(name, [next(replies) for _ in parts]) for name in chunk]


def _describe_errors(name: str, errors: Mapping[str, Exception]) -> str:
    """Return why keys cannot be read: the first error, or all wrong types."""
    for part, error in errors.items():
        if not is_wrong_type(error):
            return f"Redis key {keys.key(name, part)}: {error} ({advice_for(error).advice})"
    wrong = [f"{keys.key(name, part)} is not a {keys.TYPES[part]}" for part in errors]
    return _describe_foreign_keys(*wrong) if wrong else ""


def _describe_foreign_keys(*found: str) -> str:
    return f"Redis key {', '.join(found)}: something else writes there; rename or delete that key"


def _events_behind(meta: Mapping[str, str], checkpoint: Mapping[str, Any] | None) -> int | None:
    """Return how many events lie between a checkpoint and `meta`, None if unknown.

    A checkpoint is checked field by field, since a consumer may have written anything.
    """
    if not meta:
        return 0  # nothing is published, so no consumer is behind
    sequence = (checkpoint or {}).get("sequence")
    same_epoch = checkpoint is not None and checkpoint.get("epoch") == meta.get("epoch")
    if not same_epoch or type(sequence) is not int or not 0 <= sequence < SEQUENCE_LIMIT:
        return None
    published = parse_number(meta.get("sequence"))
    return None if published is None else max(0, published - sequence)


async def _measure_lags(client: Client, overviews: Sequence[CatalogOverview]) -> None:
    """Set the seconds of all lags. Reads something only for consumers that are behind."""
    late = [
        (overview, consumer)
        for overview in overviews
        for consumer, lag in overview.lags.items()
        if lag.events != 0
    ]
    async with client.pipeline(transaction=False) as pipe:
        for overview, consumer in late:
            claimed = str((overview.consumers[consumer] or {}).get("offset", ""))
            offset = parse_offset(claimed)
            start = f"({claimed}" if offset and max(offset) < SEQUENCE_LIMIT else "-"
            pipe.xrange(keys.key(overview.catalog, "events"), min=start, count=1)
        replies = await pipe.execute(raise_on_error=False)
    now = clock.now().timestamp()
    for (overview, consumer), reply in zip(late, replies, strict=True):
        if isinstance(reply, Exception) or not reply:  # no event is left: the last commit counts
            committed = parse_time(overview.meta.get("committed_at"))
            since = committed.timestamp() if committed else now
        else:  # an offset begins with Unix milliseconds
            since = int(reply[0][0].partition(b"-")[0]) / 1000
        lag = overview.lags[consumer]
        overview.lags[consumer] = lag._replace(seconds=max(0.0, now - since))
