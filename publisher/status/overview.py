"""What stands in Redis of many catalogs, for `status`, the metrics and the page. Reads only.

Many are asked at once, since ten thousand one after the other would take seconds. So a catalog's
parts are not of exactly one moment: a consumer may be ahead of `meta` for a blink.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import redis.exceptions

from plumbing import clock
from plumbing.errors import RedisError
from plumbing.redis.error_advice import advice_for, is_wrong_type
from plumbing.redis.server import Client, Transaction
from publisher.core.model import Hold
from publisher.state import keys
from publisher.state.redis_values import chunks, json_object, moment, number, offset, text, texts

AT_ONCE: Final = 500
"""Catalogs asked about in one go: some 4,000 short replies."""
LARGEST: Final = 2**63
PARTS: Final[Mapping[str, Callable[[Transaction, str], object]]] = {
    "meta": lambda pipe, key: pipe.hgetall(key),
    "status": lambda pipe, key: pipe.hgetall(key),
    "consumers": lambda pipe, key: pipe.hgetall(key),
    "hold": lambda pipe, key: pipe.get(key),
    "lease": lambda pipe, key: pipe.get(key),
    "categories": lambda pipe, key: pipe.hlen(key),
    "events": lambda pipe, key: pipe.xrevrange(key, count=1),
}
"""What is asked about each of a catalog's keys, in this order: the last event comes last, so that
it tells of a commit since `meta` was read."""


class Lag(NamedTuple):
    """How far a consumer is behind. In step: 0 and 0."""

    events: int | None
    """None where that cannot be said: another epoch, or an unreadable checkpoint."""
    seconds: float
    """Since the first commit that it has not applied; at least, where that was trimmed."""


async def read_catalog_names(client: Client) -> list[str]:
    """Return the names of all catalogs that were ever polled, sorted.

    Raises RedisError if something else stands there.
    """
    try:
        return sorted(text(name) for name in await client.smembers(keys.CATALOGS))
    except redis.exceptions.ResponseError as error:
        if not is_wrong_type(error):
            raise
        raise RedisError(_foreign(f"{keys.CATALOGS} is no set")) from error


async def read_statuses(client: Client, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the last poll's status of each catalog of `names`, empty where it has none."""
    found = {}
    for chunk in chunks(names, AT_ONCE):
        async with client.pipeline(transaction=False) as pipe:
            for name in chunk:
                pipe.hgetall(keys.key(name, "status"))
            replies = await pipe.execute(raise_on_error=False)
        for name, reply in zip(chunk, replies, strict=True):
            if isinstance(reply, Exception) and not is_wrong_type(reply):
                raise reply
            found[name] = {} if isinstance(reply, Exception) else texts(reply)
    return found


async def read_overviews(client: Client, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what stands in Redis of each catalog of `names`, in their order.

    Each a dict of `catalog`, `error` (why something of it could not be read, or empty; what could
    not is as if it was not there), `meta`, `status`, `hold`, `lease` (its owner), `consumers`
    (their checkpoints), `rows` (how many the state has), `last_event` (its id in the stream, or
    None) and `lags` (name → Lag).
    """
    found = []
    for chunk in chunks(names, AT_ONCE):
        found += await _overviews(client, chunk)
    return found


async def _overviews(client: Client, names: Sequence[str]) -> list[dict[str, Any]]:
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            for part, ask in PARTS.items():
                ask(pipe, keys.key(name, part))
        replies = iter(await pipe.execute(raise_on_error=False))
    catalogs = [_overview(name, [next(replies) for _ in PARTS]) for name in names]
    await _add_lags(client, catalogs)
    return catalogs


def _overview(name: str, replies: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(PARTS, replies, strict=True))
    errors = {part: reply for part, reply in found.items() if isinstance(reply, Exception)}
    found |= dict.fromkeys(errors)
    checkpoints = found["consumers"] or {}
    return {
        "catalog": name,
        "error": _unread(name, errors),
        "meta": texts(found["meta"] or {}),
        "status": texts(found["status"] or {}),
        "hold": None if found["hold"] is None else Hold.from_json(found["hold"]),
        "lease": text(found["lease"]) or None,
        "consumers": {text(who): json_object(value) for who, value in checkpoints.items()},
        "rows": found["categories"],
        "last_event": text(found["events"][0][0]) if found["events"] else None,
    }


def _unread(name: str, errors: Mapping[str, Exception]) -> str:
    """Return why something could not be read: all keys of another type, or the first refusal."""
    for part, error in errors.items():
        if not is_wrong_type(error):
            return f"Redis key {keys.key(name, part)}: {error} ({advice_for(error).advice})"
    wrong = [f"{keys.key(name, part)} is no {keys.TYPES[part]}" for part in errors]
    return _foreign(*wrong) if wrong else ""


def _foreign(*found: str) -> str:
    return f"Redis key {', '.join(found)}: something else writes there; rename or delete that key"


async def _add_lags(client: Client, catalogs: Iterable[dict[str, Any]]) -> None:
    """Add `lags`; only those that are behind cost another question."""
    late = []
    for catalog in catalogs:
        behind = {who: _behind(catalog["meta"], at) for who, at in catalog["consumers"].items()}
        catalog["lags"] = {who: Lag(events, 0.0) for who, events in behind.items()}
        late += [(catalog, who) for who, events in behind.items() if events != 0]
    if not late:
        return
    async with client.pipeline(transaction=False) as pipe:
        for catalog, who in late:
            after = _after(catalog["consumers"][who])
            pipe.xrange(keys.key(catalog["catalog"], "events"), min=after, count=1)
        replies = await pipe.execute(raise_on_error=False)
    for (catalog, who), reply in zip(late, replies, strict=True):
        has_event = not isinstance(reply, Exception) and reply
        seconds = _age(reply[0][0]) if has_event else _since_commit(catalog["meta"])
        catalog["lags"][who] = Lag(catalog["lags"][who].events, seconds)


def _behind(meta: Mapping[str, str], checkpoint: Mapping[str, Any] | None) -> int | None:
    """Return the events between a checkpoint and `meta`; a consumer may have written anything."""
    if not meta:
        return 0  # there is nothing that it could be behind of
    sequence = (checkpoint or {}).get("sequence")
    same_epoch = checkpoint is not None and checkpoint.get("epoch") == meta.get("epoch")
    if not same_epoch or type(sequence) is not int or not 0 <= sequence < LARGEST:
        return None
    published = number(meta.get("sequence"))
    return None if published is None else max(0, published - sequence)


def _after(checkpoint: Mapping[str, Any] | None) -> str:
    """Return where the events behind a checkpoint begin; the stream's start if it does not say."""
    told = str((checkpoint or {}).get("offset", ""))
    at = offset(told)
    return f"({told}" if at and max(at) < LARGEST else "-"


def _since_commit(meta: Mapping[str, str]) -> float:
    """Return how long ago the last commit was: what counts where no event is left to tell."""
    committed = moment(meta.get("committed_at"))
    return max(0.0, (clock.now() - committed).total_seconds()) if committed else 0.0


def _age(offset: bytes) -> float:
    """Return how long ago a stream's entry was written: its id begins with Unix milliseconds."""
    return max(0.0, time.time() - int(offset.partition(b"-")[0]) / 1000)
