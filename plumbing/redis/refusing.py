"""Which writes Redis refuses now, found without writing: for a look that must change nothing.

Who polls cannot leave that in Redis. It is asked of INFO, which all of our users may ask; a missing
right to write, and too few replicas, do not stand there.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import redis.exceptions

from plumbing.redis.error_advice import BY_CODE
from plumbing.redis.server import Client, NodeCommand, Server, per_node

FULL, REPLICA, DISK = (BY_CODE[code].advice for code in ("OOM", "READONLY", "MISCONF"))
REFUSES: Final = "refuses what is written there"
MAY_REFUSE: Final = (
    "could not save its last snapshot; unless stop-writes-on-bgsave-error is no it refuses what is "
    "written there"
)


async def write_refusals(server: Server, client: Client) -> list[str]:
    """Return a line for each reason why a primary of `server` refuses to be written to.

    A node that does not answer is passed over: whatever is asked of it fails anyway.
    """
    nodes = await per_node(client)
    return [
        f"Redis at {node or server.address} {reason}"
        for node, ask in nodes.items()
        for reason in reasons(await _told(ask))
    ]


def reasons(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a server with this INFO refuses to be written to, and what to do."""
    if about.get("role") == "slave":
        yield f"{REFUSES}: {REPLICA}"
    if _is_full(about):
        yield f"{REFUSES}: {FULL}"
    if about.get("aof_enabled") == 1 and about.get("aof_last_write_status") == "err":
        yield f"{REFUSES}: {DISK}"
    if about.get("rdb_last_bgsave_status") == "err":
        yield f"{MAY_REFUSE}: {DISK}"


def _is_full(about: Mapping[str, Any]) -> bool:
    """Tell what Redis calls OOM; with another policy it makes room, or may not be able to."""
    limit = about.get("maxmemory", 0)
    used = about.get("used_memory", 0) - about.get("mem_not_counted_for_evict", 0)
    return bool(limit and used > limit and about.get("maxmemory_policy") == "noeviction")


async def _told(ask: NodeCommand) -> dict[str, Any]:
    try:
        return dict(await ask("INFO"))
    except (redis.exceptions.RedisError, OSError):
        return {}
