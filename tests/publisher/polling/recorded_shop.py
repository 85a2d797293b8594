"""A catalog, and every field that its recorded polls should have written.

Its times stand still unless a test, or its source, moves them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import redis.asyncio

from plumbing import clock
from plumbing.redis.replies import as_texts
from plumbing.redis.server import Server
from publisher.core.model import Tree
from publisher.polling.poll import Catalog, PollResult
from publisher.polling.recorded_poll import poll_and_record
from publisher.sources import Answer
from tests.support.contract import digest_of
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import wide

SERVER = Server("redis://test")
KEYS = "catalog:{us}:"
TOO_MANY = "more than 0.1 of them and more than 20"


class Times:
    """The clock and the stopwatch of polls."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 40, 3, 569_000, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return the stopwatch's time in seconds."""
        return self.now.timestamp()

    def after(self, **elapsed: float) -> str:
        """Return the time after `elapsed`, as it is stored."""
        return clock.rfc3339(self.now + timedelta(**elapsed))


class SlowSource(ScriptedSource):
    """Takes 1.5 s for each answer, or fails after them with `error`."""

    def __init__(self, times: Times) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self._times = times

    async def fetch(self) -> Answer:
        """Answer, or fail."""
        self._times.now += timedelta(seconds=1.5)
        if self.error is not None:
            raise self.error
        return await super().fetch()


@dataclass
class RecordedShop:
    """Catalog `us`, which is polled every hour, its source, and the time."""

    client: redis.asyncio.Redis
    catalog: Catalog
    source: SlowSource
    times: Times

    async def poll(self, categories: Tree, **options: Any) -> PollResult:
        """Let the source return `categories`, and poll a minute after the last poll."""
        self.source.set_tree(categories)
        self.times.now += timedelta(minutes=1)
        return await poll_and_record(self.catalog, SERVER, **options)

    async def keys(self) -> dict[str, Any]:
        """Return status, hold and meta, completely, and the number of events.

        A hold's `first` changes are only counted.
        """
        stored = await self.client.get(f"{KEYS}hold")
        hold = orjson.loads(stored) if stored else None
        return {
            "status": as_texts(await self.client.hgetall(f"{KEYS}status")),
            "hold": hold and hold | {"first": len(hold["first"])},
            "meta": as_texts(await self.client.hgetall(f"{KEYS}meta")),
            "events": await self.client.xlen(f"{KEYS}events"),
        }

    def status(
        self,
        outcome: str,
        counts: tuple[int, int, int] = (0, 0, 0),
        took: float = 1.5,
        **more: str,
    ) -> dict[str, str]:
        """Return the expected status of a poll that took so many seconds until now."""
        added, updated, removed = map(str, counts)
        polled_at = self.times.after(seconds=-took)
        return {
            "outcome": outcome,
            "error": "",
            "added": added,
            "updated": updated,
            "removed": removed,
            "polled_at": polled_at,
            "duration_ms": f"{took * 1000:.0f}",
            "next_poll_at": self.times.after(hours=1, seconds=-took),
            "succeeded_at": polled_at,
            **more,
        }

    async def meta(self, categories: Tree, epoch: str, sequence: int) -> dict[str, str]:
        """Return the meta that is expected after a commit of `categories` just now."""
        newest: Any = await self.client.xrevrange(f"{KEYS}events", count=1)
        return {
            "contract": "1",
            "origin": self.catalog.origin.to_json(),
            "epoch": epoch,
            "sequence": str(sequence),
            "offset": newest[0][0].decode(),
            "digest": text_digest(categories),
            "count": str(len(categories)),
            "committed_at": self.times.after(),
        }


def hold_of(count: int, since: str) -> dict[str, Any]:
    """Return the hold that is expected of the first `count` of 100 categories."""
    removed = 100 - count
    return {
        "digest": text_digest(wide(count)),
        "since": since,
        "reasons": [f"{removed} of 100 categories removed: {TOO_MANY}"],
        "added": 0,
        "updated": 0,
        "removed": removed,
        "first": 10,
    }


def text_digest(categories: Tree) -> str:
    """Return the digest of `categories`, computed as a stranger would."""
    return digest_of({id_: each.fields() for id_, each in categories.items()})
