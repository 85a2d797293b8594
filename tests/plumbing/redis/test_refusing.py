"""Whether Redis refuses writes, as those see it who only look."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plumbing.redis.refusing import reasons, write_refusals
from plumbing.redis.server import Server
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey
from tests.support.waiting import eventually


@pytest.fixture
def own(folder: Path) -> Iterator[Valkey]:
    """Give a server of the test's own."""
    with Valkey(folder) as made:
        yield made


async def refusals(url: str) -> list[str]:
    server = Server(url)
    async with server.client() as client:
        return await write_refusals(server, client)


async def test_each_that_can_be_seen(own: Valkey) -> None:
    """One line each, which names the server and what to do; none once it is over."""
    for begin, end, word in (
        (("CONFIG SET", "maxmemory", "1"), ("CONFIG SET", "maxmemory", "0"), "raise maxmemory"),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "it is a replica"),
    ):
        assert await refusals(own.tcp_url) == []
        asked(own, *begin)
        (line,) = await refusals(own.tcp_url)
        assert line.startswith(f"Redis at {own.tcp_url} refuses what is written there: ")
        assert word in line
        asked(own, *end)
    assert await refusals(own.tcp_url) == []


async def test_what_makes_room_for_itself(own: Valkey) -> None:
    """A server that may evict does not refuse."""
    asked(own, "CONFIG SET", "maxmemory-policy", "allkeys-lru")
    asked(own, "CONFIG SET", "maxmemory", "1")
    assert await refusals(own.tcp_url) == []


async def test_a_snapshot_that_failed(own: Valkey, folder: Path) -> None:
    """It is told with what it may mean, since that is a setting which not everybody may ask for."""
    shutil.rmtree(folder)
    async with Server(own.tcp_url).client() as client:
        await client.bgsave()
    (line,) = await eventually(lambda: refusals(own.tcp_url))
    assert "could not save its last snapshot; unless stop-writes-on-bgsave-error is no" in line
    assert line.endswith("it cannot write to its disk: make room there, and see its log")


@pytest.mark.parametrize("on", [0, 1])
def test_an_append_only_file_that_cannot_be_written(on: int) -> None:
    """It counts as long as there is one."""
    about: dict[str, Any] = {"aof_enabled": on, "aof_last_write_status": "err"}
    assert len(list(reasons(about))) == on


async def test_a_user_who_may_not_ask(own: Valkey) -> None:
    """Without INFO nothing is told."""
    asked(own, "CONFIG SET", "maxmemory", "1")
    asked(own, "ACL SETUSER", "a", "on", "nopass", "~*", "+@all", "-info")
    assert await refusals(own.tcp_url.replace("://", "://a:x@")) == []
