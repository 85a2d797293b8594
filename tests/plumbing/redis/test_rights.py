"""deploy/users.acl on a Cluster and with Sentinels: what docs/security.md adds is enough, and needed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis.crc import key_slot

from consumers.following.catalog_client import Timing, connect
from plumbing.redis.server import Server
from tests.plumbing.redis.publishing import publishing
from tests.plumbing.redis.test_cluster import announce, carry, settle
from tests.support.paths import ROOT
from tests.support.redis_servers import Cluster, Sentinels, asked
from tests.support.valkey import Valkey

ON_A_CLUSTER: Final = ("+cluster|slots", "+asking")
ON_A_SENTINEL: Final = "+sentinel|masters"
USERS: Final = ("publisher", "consumer")
SLOT: Final = key_slot(b"us")


@contextmanager
def users_on(servers: Sequence[Valkey], *more: str) -> Iterator[None]:
    """Have our users on `servers`, with `more` rights; at the end none of them was refused any."""
    text = (ROOT / "deploy" / "users.acl").read_text()
    rules = {words[1]: words[2:] for words in map(str.split, text.splitlines())}
    for server in servers:
        asked(server, "FLUSHALL")
        asked(server, "ACL LOG", "RESET")
        asked(server, "CONFIG RESETSTAT")
        for user in USERS:
            asked(server, "ACL SETUSER", user, "reset", *rules[user], f">{user}", *more)
    try:
        yield
        assert [asked(server, "ACL LOG") for server in servers] == [[]] * len(servers)
    finally:
        for server in servers:
            asked(server, "ACL DELUSER", *USERS)


def as_user(user: str, url: str) -> str:
    return url.replace("://", f"://{user}:{user}@")


async def read(url: str) -> int:
    """Return how many events a consumer sees."""
    timing = Timing(block=0.1)
    async with connect(Server(as_user("consumer", url)), "us", once=True, timing=timing) as stream:
        _entries, meta = await stream.read_with_meta("0-0")
        assert meta.sequence == 2
        return len(await stream.read("0-0", wait=False))


async def test_a_cluster(cluster: Cluster) -> None:
    """Publisher and consumer find their way, also while a slot moves; nothing is granted in vain."""
    with users_on(cluster.primaries, *ON_A_CLUSTER):
        async with publishing(as_user("publisher", cluster.url)) as catalog:
            await catalog.poll(2)
        assert await read(cluster.url) == 2
        owner = cluster.owner(SLOT)
        other = next(node for node in cluster.primaries if node is not owner)
        announce(owner, other)
        carry(owner, other, 100)
        try:
            timing = Timing(block=0.1)
            server = Server(as_user("consumer", cluster.url))
            async with connect(server, "us", once=True, timing=timing) as stream:
                assert len(await stream.read("0-0", wait=False)) == 2
        finally:
            settle(cluster, other)
            announce(other, owner)
            carry(other, owner, 100)
            settle(cluster, owner)
        used = [asked(node, "INFO", "commandstats") for node in cluster.primaries]
        for right in ON_A_CLUSTER:
            assert any(f"cmdstat_{right[1:]}" in each for each in used)


async def test_sentinels(sentinels: Sentinels) -> None:
    """The servers' users need no more than elsewhere, the Sentinels' one a single right."""
    url = f"{sentinels.url}&sentinel_username=ours&sentinel_password=ours"
    with (
        sentinels.asking(sentinels.ports[0]) as sentinel,
        users_on([sentinels.acting]),
    ):
        ask: Any = sentinel.execute_command
        ask("ACL SETUSER", "ours", "reset", "on", ">ours", "-@all", ON_A_SENTINEL)
        try:
            async with publishing(as_user("publisher", url)) as catalog:
                await catalog.poll(2)
            assert await read(url) == 2
            assert ask("ACL LOG") == []
        finally:
            ask("ACL DELUSER", "ours")
