"""Our publisher, as a peer among peers: a daemon's polls of lists that are in memory.

In the main environment, where our packages are.

    python -m bench.peers.ours URL FIRST CHANGED
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson

from bench.peers.lists import NOTHING, differences, must_be, parsed
from bench.peers.meter import Meter
from bench.publishing import Said
from plumbing.redis.server import Client, Server
from publisher.polling.cache import open_cache
from publisher.polling.poll import poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog


def main() -> None:
    """Do the three works."""
    url, first, changed = sys.argv[1], *(Path(name).read_bytes() for name in sys.argv[2:4])
    asyncio.run(_works(url, first, changed))


async def _works(url: str, first: bytes, changed: bytes) -> None:
    meter = Meter("category-publisher", ("category-publisher",))
    source = Said()
    async with Server(url).client() as client, open_cache() as cache:
        store = Store(client, "us")
        catalog = make_catalog(store, source, state_cache=cache)
        for work, before, body in (
            ("first list", NOTHING, first),
            ("1 % changed", first, changed),
            ("nothing changed", changed, changed),
        ):
            source.body = body
            with meter.running():
                polled = await poll_once(catalog)
            wanted = parsed(body)
            count = sum(polled.counts)
            must_be(count, differences(parsed(before), wanted).total, f"changes, {work}")
            must_be(await _kept(client), {row["id"]: row for row in wanted}, f"categories, {work}")
            meter.tell(work, count)
            del wanted  # is no memory of the next work


async def _kept(client: Client) -> dict[str, Any]:
    """Return what the state holds."""
    rows: Any = await client.hgetall("catalog:{us}:categories")
    return {id_.decode(): orjson.loads(row) for id_, row in rows.items()}


if __name__ == "__main__":
    main()
