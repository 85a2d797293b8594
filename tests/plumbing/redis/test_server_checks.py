"""Which settings endanger our keys, and why a server refuses writes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from plumbing.redis.server import Server
from plumbing.redis.server_checks import durability_warnings, refusal_reasons, write_refusals
from tests.support.redis_servers import Cluster, execute_on
from tests.support.valkey import Valkey
from tests.support.waiting import eventually


async def refusals(url: str) -> list[str]:
    server = Server(url)
    async with server.client() as client:
        return await write_refusals(server, client)


async def test_no_warning_of_a_durable_server(own_valkey: Valkey) -> None:
    """An append-only file and noeviction are as they should be."""
    execute_on(own_valkey, "CONFIG SET", "maxmemory", "100mb")
    assert await durability_warnings(Server(own_valkey.url)) == []


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            ["may evict our keys", "allkeys-lru"],
        ),
        ({"appendonly": "no"}, ["has no append-only file and saves no snapshots"]),
    ],
)
async def test_warns_of_a_setting_that_endangers_our_keys(
    own_valkey: Valkey, settings: dict[str, str], parts: list[str]
) -> None:
    """One line names the server and the remedy."""
    for name, value in settings.items():
        execute_on(own_valkey, "CONFIG SET", name, value)
    (warning,) = await durability_warnings(Server(own_valkey.url))
    assert all(part in warning for part in [own_valkey.url, "set ", *parts])


async def test_snapshots_are_durable_enough(own_valkey: Valkey) -> None:
    """Save points replace an append-only file."""
    execute_on(own_valkey, "CONFIG SET", "appendonly", "no")
    execute_on(own_valkey, "CONFIG SET", "save", "900 1")
    assert await durability_warnings(Server(own_valkey.url)) == []


async def test_warns_only_of_readable_settings(own_valkey: Valkey) -> None:
    """The warning rests on INFO if CONFIG may not be read.

    Without INFO there is none, and no error.
    """
    execute_on(own_valkey, "CONFIG SET", "appendonly", "no")
    execute_on(own_valkey, "ACL SETUSER", "a", "on", "nopass", "~*", "+@all", "-config")
    execute_on(own_valkey, "ACL SETUSER", "b", "on", "nopass", "~*", "+@all", "-info")
    url = f"{own_valkey.tcp_url.replace('redis://', 'redis://{}:x@')}"
    (warning,) = await durability_warnings(Server(url.format("a")))
    assert "may save no snapshots (this user may not read its setting `save`)" in warning
    assert await durability_warnings(Server(url.format("b"))) == []


async def test_warns_of_each_node_of_a_cluster(cluster: Cluster) -> None:
    """The warning names the node whose setting differs."""
    node = cluster.primaries[1]
    execute_on(node, "CONFIG SET", "appendonly", "no")
    (warning,) = await durability_warnings(Server(cluster.url))
    execute_on(node, "CONFIG SET", "appendonly", "yes")
    assert f"127.0.0.1:{node.port} has no append-only file" in warning


async def test_reports_each_reason_to_refuse_writes(own_valkey: Valkey) -> None:
    """One line names the server and what to do; there is none once the reason is gone."""
    for start, end, advice in (
        (("CONFIG SET", "maxmemory", "1"), ("CONFIG SET", "maxmemory", "0"), "raise maxmemory"),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "it is a replica"),
    ):
        assert await refusals(own_valkey.tcp_url) == []
        execute_on(own_valkey, *start)
        (line,) = await refusals(own_valkey.tcp_url)
        assert line.startswith(f"Redis at {own_valkey.tcp_url} refuses writes: ")
        assert advice in line
        execute_on(own_valkey, *end)
    assert await refusals(own_valkey.tcp_url) == []


async def test_a_server_that_evicts_refuses_nothing(own_valkey: Valkey) -> None:
    """Its memory is full, and it makes room by itself."""
    execute_on(own_valkey, "CONFIG SET", "maxmemory-policy", "allkeys-lru")
    execute_on(own_valkey, "CONFIG SET", "maxmemory", "1")
    assert await refusals(own_valkey.tcp_url) == []


async def test_reports_a_failed_snapshot(own_valkey: Valkey, folder: Path) -> None:
    """The line says what it may mean, since not every user may read the setting."""
    shutil.rmtree(folder)
    async with Server(own_valkey.tcp_url).client() as client:
        await client.bgsave()
    (line,) = await eventually(lambda: refusals(own_valkey.tcp_url))
    assert "could not save its last snapshot; it refuses writes, unless its setting" in line
    assert "stop-writes-on-bgsave-error is no: it cannot" in line
    assert line.endswith("it cannot write to its disk: make room there, and see its log")


@pytest.mark.parametrize("is_enabled", [0, 1])
def test_reports_an_append_only_file_that_cannot_be_written(is_enabled: int) -> None:
    """A file that is switched off does not count."""
    info: dict[str, Any] = {"aof_enabled": is_enabled, "aof_last_write_status": "err"}
    assert len(list(refusal_reasons(info))) == is_enabled


async def test_reports_no_refusal_to_a_user_without_info(own_valkey: Valkey) -> None:
    """The right to INFO is what shows the reasons."""
    execute_on(own_valkey, "CONFIG SET", "maxmemory", "1")
    execute_on(own_valkey, "ACL SETUSER", "a", "on", "nopass", "~*", "+@all", "-info")
    assert await refusals(own_valkey.tcp_url.replace("://", "://a:x@")) == []
