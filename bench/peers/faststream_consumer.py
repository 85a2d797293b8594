"""FastStream as a consumer of our events, single and in batches, without a store.

It uses a consumer group, so that it continues where it ended, as any consumer must. Each handler
decodes the event and counts; nothing is checked or written. Measured from the start of the broker
until the last event was handled.

    python -m bench.peers.faststream_consumer URL STREAM COUNT
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson
import redis
from faststream.redis import RedisBroker, StreamSub

from bench.peers.lists import check_equal
from bench.peers.meter import Meter

RECORDS = 1000
"""Entries of one XREADGROUP, as many as our readers read at once."""

Handler: TypeAlias = Callable[[Any], Awaitable[None]]


def main() -> None:
    """Run both works."""
    url, stream, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    meter = Meter("FastStream", ("faststream", "redis", "hiredis"))
    for work in ("single", "batch"):
        events = Events(count)
        asyncio.run(consume(meter, url, stream, work, events))
        check_equal(events.sequences, list(range(1, count + 1)), f"events, {work}")
        check_equal(pending(url, stream, work), 0, f"not acknowledged, {work}")
        meter.print_figure(work, len(events.sequences))


class Events:
    """Counts the handled events."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.sequences: list[int] = []
        self.complete = asyncio.Event()

    async def one(self, message: dict[str, str]) -> None:
        """Handle one entry."""
        self.sequences.append(int(orjson.loads(message["event"])["sequence"]))
        if len(self.sequences) == self._count:
            self.complete.set()

    async def batch(self, messages: list[dict[str, str]]) -> None:
        """Handle the entries of one reply."""
        for message in messages:
            await self.one(message)


async def consume(meter: Meter, url: str, stream: str, work: str, events: Events) -> None:
    """Measure until all events were handled."""
    broker = RedisBroker(url, logger=None)
    is_batch = work == "batch"
    subscription = StreamSub(
        stream, group=work, consumer="peer", batch=is_batch, max_records=RECORDS
    )
    handler: Handler = events.batch if is_batch else events.one
    broker.subscriber(stream=subscription)(handler)
    create_group(url, stream, work)
    with meter.measure():
        await broker.start()
        await events.complete.wait()
    await broker.stop()


def create_group(url: str, stream: str, group: str) -> None:
    """Create the group at the stream's start; FastStream would create it at its end."""
    with redis.Redis.from_url(url) as client:
        client.xgroup_create(stream, group, id="0")


def pending(url: str, stream: str, group: str) -> int:
    """Return the number of entries that were delivered but not acknowledged."""
    with redis.Redis.from_url(url) as client:
        summary: Any = client.xpending(stream, group)
        return int(summary["pending"])


if __name__ == "__main__":
    main()
