"""What stands in Redis of many catalogs, for `status`, the metrics and the page. Reads only.

Many are asked at once, since ten thousand one after the other would take seconds. So a catalog's
parts are not of exactly one moment: a consumer may be ahead of `meta` for a blink.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from plumbing import clock
from plumbing.server import Client
from publisher import keys, values
from publisher.fine import moment
from publisher.values import chunks, json_object, text, texts

AT_ONCE: Final = 500
"""Catalogs asked about in one go: some 3,000 short replies."""
LARGEST: Final = 2**63
OFFSET: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
NUMBER: Final = re.compile(r"[0-9]{1,20}")
PARTS: Final = ("meta", "status", "consumers", "hold", "lease")


class Lag(NamedTuple):
    """How far a consumer is behind. In step: 0 and 0."""

    events: int | None
    """None where that cannot be said: another epoch, or an unreadable checkpoint."""
    seconds: float
    """Since the first commit that it has not applied; at least, where that was trimmed."""


async def all_catalogs(client: Client) -> list[str]:
    """Return the names of all catalogs that were ever polled, sorted."""
    return sorted(text(name) for name in await client.smembers(keys.CATALOGS))


async def statuses(client: Client, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the last poll's status of each catalog of `names`, empty where it has none."""
    found = {}
    for chunk in chunks(names, AT_ONCE):
        async with client.pipeline(transaction=False) as pipe:
            for name in chunk:
                pipe.hgetall(keys.key(name, "status"))
            replies = await pipe.execute(raise_on_error=False)
        for name, reply in zip(chunk, replies, strict=True):
            found[name] = {} if _is_wrong_type(reply) else texts(reply)
    return found


async def overviews(client: Client, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what stands in Redis of each catalog of `names`, in their order.

    Each a dict of `catalog`, `meta`, `status`, `hold`, `lease` (its owner), `consumers` (their
    checkpoints) and `lags` (name → Lag). A key of another type is told as a failed status.
    """
    found = []
    for chunk in chunks(names, AT_ONCE):
        found += await _overviews(client, chunk)
    return found


async def _overviews(client: Client, names: Sequence[str]) -> list[dict[str, Any]]:
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            for part in PARTS:
                read = pipe.get if keys.TYPES[part] == "string" else pipe.hgetall
                read(keys.key(name, part))
        replies = iter(await pipe.execute(raise_on_error=False))
    catalogs = [_overview(name, [next(replies) for _ in PARTS]) for name in names]
    await _add_lags(client, catalogs)
    return catalogs


def _overview(name: str, replies: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(PARTS, replies, strict=True))
    wrong = [part for part, reply in found.items() if _is_wrong_type(reply)]
    meta, status, consumers, hold, lease = (
        None if part in wrong else reply for part, reply in found.items()
    )
    checkpoints = {text(who): json_object(value) for who, value in (consumers or {}).items()}
    return {
        "catalog": name,
        "meta": texts(meta or {}),
        "status": _wrong(name, wrong) if wrong else texts(status or {}),
        "hold": values.hold(hold),
        "lease": text(lease) or None,
        "consumers": checkpoints,
    }


def _is_wrong_type(reply: Any) -> bool:
    if not isinstance(reply, Exception):
        return False
    if "WRONGTYPE" in str(reply):
        return True
    raise reply


def _wrong(name: str, parts: Iterable[str]) -> dict[str, str]:
    found = ", ".join(f"{keys.key(name, part)} is no {keys.TYPES[part]}" for part in parts)
    error = f"Redis key {found}: something else writes there; rename or delete that key"
    return {"outcome": "failed", "error": error}


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
        has_event = not _is_wrong_type(reply) and reply
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
    published = meta.get("sequence", "")
    return max(0, int(published) - sequence) if NUMBER.fullmatch(published) else None


def _after(checkpoint: Mapping[str, Any] | None) -> str:
    """Return where the events behind a checkpoint begin; the stream's start if it does not say."""
    offset = str((checkpoint or {}).get("offset", ""))
    found = OFFSET.fullmatch(offset)
    is_offset = found and all(int(number) < LARGEST for number in found.groups())
    return f"({offset}" if is_offset else "-"


def _since_commit(meta: Mapping[str, str]) -> float:
    """Return how long ago the last commit was: what counts where no event is left to tell."""
    committed = moment(meta.get("committed_at"))
    return max(0.0, (clock.now() - committed).total_seconds()) if committed else 0.0


def _age(offset: bytes) -> float:
    """Return how long ago a stream's entry was written: its id begins with Unix milliseconds."""
    return max(0.0, time.time() - int(offset.partition(b"-")[0]) / 1000)
