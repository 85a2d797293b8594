"""What is told at start about settings that endanger our keys."""

import pytest

from plumbing.redis.server import Server
from plumbing.redis.server_checks import durability_warnings
from tests.support.redis_servers import Cluster, asked
from tests.support.valkey import Valkey


async def test_nothing_to_tell(own_valkey: Valkey) -> None:
    """An append-only file and noeviction are as they should be."""
    asked(own_valkey, "CONFIG SET", "maxmemory", "100mb")
    assert await durability_warnings(Server(own_valkey.url)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            ["may evict our keys", "allkeys-lru"],
        ),
        ({"appendonly": "no"}, ["keeps no append-only file on disk, nor snapshots"]),
    ],
)
async def test_a_setting_that_endangers(
    own_valkey: Valkey, settings: dict[str, str], words: list[str]
) -> None:
    """One line, which names the server and the remedy."""
    for name, value in settings.items():
        asked(own_valkey, "CONFIG SET", name, value)
    (warning,) = await durability_warnings(Server(own_valkey.url))
    assert all(word in warning for word in [own_valkey.url, "set ", *words])


async def test_snapshots_will_do(own_valkey: Valkey) -> None:
    """No append-only file, but save points."""
    asked(own_valkey, "CONFIG SET", "appendonly", "no")
    asked(own_valkey, "CONFIG SET", "save", "900 1")
    assert await durability_warnings(Server(own_valkey.url)) == []


async def test_a_user_who_may_not_ask(own_valkey: Valkey) -> None:
    """Without CONFIG what INFO shows is told; without INFO nothing is, and neither is an error."""
    asked(own_valkey, "CONFIG SET", "appendonly", "no")
    asked(own_valkey, "ACL SETUSER", "a", "on", "nopass", "~*", "+@all", "-config")
    asked(own_valkey, "ACL SETUSER", "b", "on", "nopass", "~*", "+@all", "-info")
    url = f"{own_valkey.tcp_url.replace('redis://', 'redis://{}:x@')}"
    (warning,) = await durability_warnings(Server(url.format("a")))
    assert "whether snapshots is not for us to see" in warning
    assert await durability_warnings(Server(url.format("b"))) == []


async def test_each_node_of_a_cluster(cluster: Cluster) -> None:
    """The one that differs is named."""
    node = cluster.primaries[1]
    asked(node, "CONFIG SET", "appendonly", "no")
    (warning,) = await durability_warnings(Server(cluster.url))
    asked(node, "CONFIG SET", "appendonly", "yes")
    assert f"127.0.0.1:{node.port} keeps no" in warning
