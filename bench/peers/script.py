"""A script as guides for seeding a cache describe it: per category get, compare, set.

One command at a time, with redis-py's synchronous client (and hiredis), over the server's Unix
socket. Each difference is appended to a stream. What is gone is found by the hash's keys: without
that the script would never remove anything. It has no transaction: a reader sees half a poll.

    python -m bench.peers.script URL FIRST CHANGED
"""

import sys
from pathlib import Path
from typing import Any

import orjson
import redis

from bench.peers.lists import NOTHING, differences, must_be, parsed
from bench.peers.meter import Meter

CATEGORIES = "script:categories"
CHANGES = "script:changes"


def main() -> None:
    """Do the three works."""
    url, first, changed = sys.argv[1], *(Path(name).read_bytes() for name in sys.argv[2:4])
    meter = Meter("script", ("redis", "hiredis"))
    with redis.Redis.from_url(url) as client:
        for work, before, body in (
            ("first list", NOTHING, first),
            ("1 % changed", first, changed),
            ("nothing changed", changed, changed),
        ):
            with meter.running():
                poll(client, body)
            wanted = parsed(body)
            count = told(client)
            must_be(count, differences(parsed(before), wanted).total, f"changes, {work}")
            must_be(kept(client), {row["id"]: row for row in wanted}, f"categories, {work}")
            meter.tell(work, count)
            del wanted  # is no memory of the next work


def poll(client: redis.Redis, body: bytes) -> None:
    """Make the hash what `body` says."""
    seen = set()
    for category in parsed(body):
        id_, new = category["id"], orjson.dumps(category)
        seen.add(id_)
        if client.hget(CATEGORIES, id_) != new:
            client.hset(CATEGORIES, id_, new)
            client.xadd(CHANGES, {"id": id_, "category": new})
    keys: Any = client.hkeys(CATEGORIES)
    for id_ in {key.decode() for key in keys} - seen:
        client.hdel(CATEGORIES, id_)
        client.xadd(CHANGES, {"id": id_, "category": b"null"})


def told(client: redis.Redis) -> int:
    """Return how many changes there are in the stream, and empty it."""
    count: Any = client.xtrim(CHANGES, maxlen=0, approximate=False)
    return int(count)


def kept(client: redis.Redis) -> dict[str, Any]:
    """Return what the hash holds."""
    rows: Any = client.hgetall(CATEGORIES)
    return {id_.decode(): orjson.loads(row) for id_, row in rows.items()}


if __name__ == "__main__":
    main()
