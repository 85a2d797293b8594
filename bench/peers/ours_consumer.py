"""Our consumer, as a peer among peers: it follows 100,000 of our events with all checks on.

Without a store, as FastStream beside it: each event is decoded with its types, and has to connect
to the one before in epoch, sequence and digest. In the main environment, where our packages are.

    python -m bench.peers.ours_consumer URL STREAM COUNT     # the stream is catalog us'
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from bench.peers.lists import must_be
from bench.peers.meter import Meter
from consumers.contract.model import Checkpoint, Event, Snapshot
from consumers.following.catalog_client import START as STREAM_START
from consumers.following.catalog_client import connect
from consumers.following.projection import Projection
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from plumbing.redis.server import Server

START: Final = Checkpoint("9f3c1a2b", 0, STREAM_START, "0" * 16)
"""Before the first of the events (`given.events`)."""
WORK: Final = "batch, all checks"


def main() -> None:
    """Do the work."""
    url, count = sys.argv[1], int(sys.argv[3])
    asyncio.run(_followed(Server(url), count))


class Sequences(Projection):
    """Keeps what it has seen."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.seen: list[int] = []
        self.complete = asyncio.Event()

    async def load(self) -> Checkpoint:
        """Begin before the first event."""
        return START

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Refuse: an event did not connect."""
        raise ValueError("the events do not lead on from one to the next")

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Take note."""
        self.seen += [event.sequence for event in events]
        if len(self.seen) == self._count:
            self.complete.set()


async def _followed(server: Server, count: int) -> None:
    meter = Meter("category-consumer", ("category-publisher", "redis", "hiredis"))
    projection = Sequences(count)
    with meter.running():
        async with connect(server, "us", once=False) as events:
            following = asyncio.create_task(run_projection(projection, Reader(events, "peer")))
            complete = asyncio.create_task(projection.complete.wait())
            await asyncio.wait((following, complete), return_when=asyncio.FIRST_COMPLETED)
            if following.done():  # it never ends by itself
                await following
            following.cancel()
    must_be(projection.seen, list(range(1, count + 1)), "events")
    meter.tell(WORK, count)


if __name__ == "__main__":
    main()
