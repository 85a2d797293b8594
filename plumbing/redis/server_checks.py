"""What a server's settings mean for the data in it, told at start.

Redis is where the events are: a server that evicts keys, or that forgets all when it restarts, is
repaired by the next poll (contract, 5.2 and 5.7), but histories begin anew and consumers resync.
"""

from typing import Any

import redis.exceptions

from plumbing.redis.server import NodeCommand, Server, per_node


async def durability_warnings(server: Server) -> list[str]:
    """Return a line for each setting that endangers our keys, of each node of a Cluster.

    What a user may not ask (INFO, CONFIG GET), and a node that does not answer, is passed over.
    """
    client = server.client()
    try:
        with server.errors_explained():
            nodes = await per_node(client, replicas=True)
        return [
            f"Redis at {node or server.address} {what}"
            for node, ask in nodes.items()
            for what in (await _eviction(ask), await _persistence(ask))
            if what
        ]
    finally:
        await client.aclose()


async def _eviction(ask: NodeCommand) -> str | None:
    about = await _told(ask, "INFO", "memory")
    policy = about.get("maxmemory_policy", "noeviction")
    if not about.get("maxmemory") or policy == "noeviction":
        return None
    return (
        f"may evict our keys once its memory is full (maxmemory-policy is {policy}): "
        "set maxmemory-policy to noeviction"
    )


async def _persistence(ask: NodeCommand) -> str | None:
    about = await _told(ask, "INFO", "persistence")
    if about.get("aof_enabled") != 0:
        return None
    points = (await _told(ask, "CONFIG GET", "save")).get("save")
    if points:
        return None
    saves = "nor snapshots" if points is not None else "whether snapshots is not for us to see"
    return (
        f"keeps no append-only file on disk, {saves}: a restart may lose what was published; "
        "set appendonly to yes"
    )


async def _told(ask: NodeCommand, *command: str) -> dict[str, Any]:
    """Return the reply, empty where there is none for us."""
    try:
        return dict(await ask(*command))
    except (redis.exceptions.RedisError, OSError):
        return {}
