"""Our publisher as one of the peers: a daemon's polls of lists that are in memory.

It runs in the main environment, where our packages are.

    python -m bench.peers.ours URL FIRST CHANGED
"""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson

from bench.peers.lists import NOTHING, check_equal, differences, parse
from bench.peers.meter import Meter
from bench.publishing import MemorySource
from plumbing.redis.server import Client, Server
from publisher.polling.cache import StateCache
from publisher.polling.poll import poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog


def main() -> None:
    """Run the three works."""
    url, first, changed = sys.argv[1], *(Path(name).read_bytes() for name in sys.argv[2:4])
    asyncio.run(_run_works(url, first, changed))


async def _run_works(url: str, first: bytes, changed: bytes) -> None:
    meter = Meter("category-publisher", ("category-publisher",))
    source = MemorySource()
    async with Server(url).client() as client, aclosing(StateCache()) as cache:
        store = Store(client, "us")
        catalog = make_catalog(store, source, state_cache=cache)
        for work, before, body in (
            ("first list", NOTHING, first),
            ("1 % changed", first, changed),
            ("nothing changed", changed, changed),
        ):
            source.body = body
            with meter.measure():
                polled = await poll_once(catalog)
            expected = parse(body)
            count = sum(polled.counts)
            check_equal(count, differences(parse(before), expected).total, f"changes, {work}")
            check_equal(
                await _read_rows(client),
                {row["id"]: row for row in expected},
                f"categories, {work}",
            )
            meter.print_figure(work, count)
            del expected  # must not count as memory of the next work


async def _read_rows(client: Client) -> dict[str, Any]:
    """Return the rows of the state by id."""
    rows: Any = await client.hgetall("catalog:{us}:categories")
    return {id_.decode(): orjson.loads(row) for id_, row in rows.items()}


if __name__ == "__main__":
    main()
