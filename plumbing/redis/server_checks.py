"""Checks whether a server may lose our data, or refuses to be written to.

Redis is where the events are. If a server evicts keys, or loses all when it restarts, the next
poll repairs the state (contract, 5.2 and 5.7), but under a new epoch, and consumers resync.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import redis.exceptions

from plumbing.redis.error_advice import BY_CODE
from plumbing.redis.server import Client, NodeCommand, Server, per_node

FULL, REPLICA, DISK = (BY_CODE[code].advice for code in ("OOM", "READONLY", "MISCONF"))


async def durability_warnings(server: Server) -> list[str]:
    """Return a line for each setting that endangers our keys.

    Each node of a Cluster has its own lines. There is no line about what the user may not read
    (INFO, CONFIG GET), and none about a node that does not answer.
    """
    client = server.client()
    try:
        with server.explain_errors():
            nodes = await per_node(client, replicas=True)
        return [
            f"Redis at {node or server.address} {warning}"
            for node, command in nodes.items()
            async for warning in _node_warnings(command)
        ]
    finally:
        await client.aclose()


async def _node_warnings(command: NodeCommand) -> AsyncIterator[str]:
    memory = await _read(command, "INFO", "memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy != "noeviction":
        yield (
            f"may evict our keys once its memory is full (maxmemory-policy is {policy}): "
            "set maxmemory-policy to noeviction"
        )
    persistence = await _read(command, "INFO", "persistence")
    if persistence.get("aof_enabled") != 0:
        return
    save_points = (await _read(command, "CONFIG GET", "save")).get("save")
    if not save_points:
        snapshots = "saves no snapshots"
        if save_points is None:
            snapshots = "may save no snapshots (this user may not read its setting `save`)"
        yield (
            f"has no append-only file and {snapshots}: a restart may lose what was published; "
            "set appendonly to yes"
        )


async def write_refusals(server: Server, client: Client) -> list[str]:
    """Return a line for each reason why a primary refuses writes.

    It checks all primaries of `server`, without writing. INFO does not show a missing right to
    write, or too few replicas. A node that does not answer gives no line: every other command to it
    fails anyway.
    """
    nodes = await per_node(client, replicas=False)
    return [
        f"Redis at {node or server.address} {reason}"
        for node, command in nodes.items()
        for reason in refusal_reasons(await _read(command, "INFO"))
    ]


def refusal_reasons(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a server with this INFO refuses writes, and what to do."""
    if info.get("role") == "slave":
        yield f"refuses writes: {REPLICA}"
    limit, used = info.get("maxmemory", 0), info.get("used_memory", 0)
    is_full = limit and used - info.get("mem_not_counted_for_evict", 0) > limit
    if is_full and info.get("maxmemory_policy") == "noeviction":  # with others it may evict
        yield f"refuses writes: {FULL}"
    if info.get("aof_enabled") == 1 and info.get("aof_last_write_status") == "err":
        yield f"refuses writes: {DISK}"
    if info.get("rdb_last_bgsave_status") == "err":
        yield (
            "could not save its last snapshot; it refuses writes, unless its setting "
            f"stop-writes-on-bgsave-error is no: {DISK}"
        )


async def _read(command: NodeCommand, *arguments: str) -> dict[str, Any]:
    """Return the reply to a command; an empty one if it is refused or does not come."""
    try:
        return dict(await command(*arguments))
    except (redis.exceptions.RedisError, OSError):
        return {}
