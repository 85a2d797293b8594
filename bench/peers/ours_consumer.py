"""Our consumer as one of the peers: it reads our events with all checks on.

It has no store, like FastStream beside it: each event is decoded with its types, and must connect
to the one before by epoch, sequence and digest. It runs in the main environment, with our packages.

    python -m bench.peers.ours_consumer URL STREAM COUNT     # the stream is catalog us'
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from bench.peers.lists import check_equal
from bench.peers.meter import Meter
from consumers.contract.model import Checkpoint, Event, Snapshot
from consumers.following.catalog_client import START as STREAM_START
from consumers.following.catalog_client import connect
from consumers.following.projection import Projection
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from plumbing.redis.server import Server

START: Final = Checkpoint("9f3c1a2b", 0, STREAM_START, "0" * 16)
"""The position before the first of the events (`input_files.events`)."""
WORK: Final = "batch, all checks"


def main() -> None:
    """Run the work."""
    url, count = sys.argv[1], int(sys.argv[3])
    asyncio.run(_follow(Server(url), count))


class SequenceRecorder(Projection):
    """Records the sequences of all events."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.seen: list[int] = []
        self.complete = asyncio.Event()

    async def load(self) -> Checkpoint:
        """Return the position before the first event."""
        return START

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Raise ValueError: a resync means that an event did not connect."""
        raise ValueError("the events do not connect")

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Record the events."""
        self.seen += [event.sequence for event in events]
        if len(self.seen) == self._count:
            self.complete.set()


async def _follow(server: Server, count: int) -> None:
    meter = Meter("category-consumer", ("category-publisher", "redis", "hiredis"))
    projection = SequenceRecorder(count)
    with meter.measure():
        async with connect(server, "us", once=False) as events:
            following = asyncio.create_task(run_projection(projection, Reader(events, "peer")))
            complete = asyncio.create_task(projection.complete.wait())
            await asyncio.wait((following, complete), return_when=asyncio.FIRST_COMPLETED)
            if following.done():  # it ends only with an error
                await following
            following.cancel()
    check_equal(projection.seen, list(range(1, count + 1)), "events")
    meter.print_figure(WORK, count)


if __name__ == "__main__":
    main()
