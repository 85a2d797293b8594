"""The rights that docs/security.md adds are enough, and needed.

It adds them for a Cluster and Sentinels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis.crc import key_slot

from consumers.following.catalog_client import Timing, connect
from plumbing.redis.server import Server
from tests.plumbing.redis.published_catalog import published_catalog
from tests.plumbing.redis.test_cluster import finish_move, move_some_keys, start_move
from tests.support.paths import ROOT
from tests.support.redis_servers import Cluster, Sentinels, execute_on
from tests.support.valkey import Valkey

CLUSTER_RIGHTS: Final = ("+cluster|slots", "+asking")
SENTINEL_RIGHT: Final = "+sentinel|masters"
USERS: Final = ("publisher", "consumer")
SLOT: Final = key_slot(b"us")


@contextmanager
def users_with_rights(servers: Sequence[Valkey], *more: str) -> Iterator[None]:
    """Create our users on `servers`, and assert that no command is refused.

    They have `more` rights, too.
    """
    text = (ROOT / "deploy" / "users.acl").read_text()
    rules = {words[1]: words[2:] for words in map(str.split, text.splitlines())}
    for server in servers:
        execute_on(server, "FLUSHALL")
        execute_on(server, "ACL LOG", "RESET")
        execute_on(server, "CONFIG RESETSTAT")
        for user in USERS:
            execute_on(server, "ACL SETUSER", user, "reset", *rules[user], f">{user}", *more)
    try:
        yield
        assert [execute_on(server, "ACL LOG") for server in servers] == [[]] * len(servers)
    finally:
        for server in servers:
            execute_on(server, "ACL DELUSER", *USERS)


def as_user(user: str, url: str) -> str:
    return url.replace("://", f"://{user}:{user}@")


async def count_events(url: str) -> int:
    """Return how many events a consumer reads."""
    timing = Timing(block=0.1)
    async with connect(Server(as_user("consumer", url)), "us", once=True, timing=timing) as stream:
        _entries, meta = await stream.read_with_meta("0-0")
        assert meta.sequence == 2
        return len(await stream.read("0-0", wait=False))


async def test_the_rights_for_a_cluster(cluster: Cluster) -> None:
    """They are enough also while a slot is being moved, and each is used."""
    with users_with_rights(cluster.primaries, *CLUSTER_RIGHTS):
        async with published_catalog(as_user("publisher", cluster.url)) as catalog:
            await catalog.poll(2)
        assert await count_events(cluster.url) == 2
        owner = cluster.owner(SLOT)
        other = next(node for node in cluster.primaries if node is not owner)
        start_move(owner, other)
        move_some_keys(owner, other, 100)
        try:
            timing = Timing(block=0.1)
            server = Server(as_user("consumer", cluster.url))
            async with connect(server, "us", once=True, timing=timing) as stream:
                assert len(await stream.read("0-0", wait=False)) == 2
        finally:
            finish_move(cluster, other)
            start_move(other, owner)
            move_some_keys(other, owner, 100)
            finish_move(cluster, owner)
        used = [execute_on(node, "INFO", "commandstats") for node in cluster.primaries]
        for right in CLUSTER_RIGHTS:
            assert any(f"cmdstat_{right[1:]}" in each for each in used)


async def test_the_right_for_sentinels(sentinels: Sentinels) -> None:
    """The user of the Sentinels needs a single right.

    The users of the servers need no further one.
    """
    url = f"{sentinels.url}&sentinel_username=ours&sentinel_password=ours"
    with (
        sentinels.asking(sentinels.ports[0]) as sentinel,
        users_with_rights([sentinels.acting]),
    ):
        ask: Any = sentinel.execute_command
        ask("ACL SETUSER", "ours", "reset", "on", ">ours", "-@all", SENTINEL_RIGHT)
        try:
            async with published_catalog(as_user("publisher", url)) as catalog:
                await catalog.poll(2)
            assert await count_events(url) == 2
            assert ask("ACL LOG") == []
        finally:
            ask("ACL DELUSER", "ours")
