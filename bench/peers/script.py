"""A script as guides for caches describe it: per category get, compare, set.

It sends one command at a time, with redis-py's synchronous client (and hiredis), over the server's
Unix socket. Each difference is appended to a stream. Removed categories are found by the hash's
keys; without that the script would never remove any. It has no transaction: readers see half polls.

    python -m bench.peers.script URL FIRST CHANGED
"""

import sys
from pathlib import Path
from typing import Any

import orjson
import redis

from bench.peers.lists import NOTHING, check_equal, differences, parse
from bench.peers.meter import Meter

CATEGORIES = "script:categories"
CHANGES = "script:changes"


def main() -> None:
    """Run the three works."""
    url, first, changed = sys.argv[1], *(Path(name).read_bytes() for name in sys.argv[2:4])
    meter = Meter("script", ("redis", "hiredis"))
    with redis.Redis.from_url(url) as client:
        for work, before, body in (
            ("first list", NOTHING, first),
            ("1 % changed", first, changed),
            ("nothing changed", changed, changed),
        ):
            with meter.measure():
                poll(client, body)
            expected = parse(body)
            count = take_changes(client)
            check_equal(count, differences(parse(before), expected).total, f"changes, {work}")
            check_equal(
                read_rows(client), {row["id"]: row for row in expected}, f"categories, {work}"
            )
            meter.print_figure(work, count)
            del expected  # must not count as memory of the next work


def poll(client: redis.Redis, body: bytes) -> None:
    """Update the hash to `body`."""
    seen = set()
    for category in parse(body):
        id_, new = category["id"], orjson.dumps(category)
        seen.add(id_)
        if client.hget(CATEGORIES, id_) != new:
            client.hset(CATEGORIES, id_, new)
            client.xadd(CHANGES, {"id": id_, "category": new})
    keys: Any = client.hkeys(CATEGORIES)
    for id_ in {key.decode() for key in keys} - seen:
        client.hdel(CATEGORIES, id_)
        client.xadd(CHANGES, {"id": id_, "category": b"null"})


def take_changes(client: redis.Redis) -> int:
    """Return the number of changes in the stream, and empty it."""
    count: Any = client.xtrim(CHANGES, maxlen=0, approximate=False)
    return int(count)


def read_rows(client: redis.Redis) -> dict[str, Any]:
    """Return the hash's categories by id."""
    rows: Any = client.hgetall(CATEGORIES)
    return {id_.decode(): orjson.loads(row) for id_, row in rows.items()}


if __name__ == "__main__":
    main()
