"""The same commands work with a Cluster, with Sentinels and with TLS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest
import redis.asyncio

from plumbing.errors import RedisError
from plumbing.redis import server as servers
from plumbing.redis.server import (
    Client,
    NodeCommand,
    Server,
    check_server,
    wait_until_available,
)
from tests.support.messages import whole
from tests.support.processes import CONSUMER, PUBLISHER, call, replace
from tests.support.redis_servers import Cluster, Sentinels, execute_on
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually, patience

ONE = [{"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": False}]
TWO = [*ONE, {"id": "2", "parent_id": "1", "local_name": "Lamps", "is_leaf": True}]


def test_works_with_a_cluster(cluster: Cluster, folder: Path) -> None:
    """Commands go to the node of their slot."""
    publish_follow_verify(cluster.url, folder)


def test_works_with_sentinels(sentinels: Sentinels, folder: Path) -> None:
    """Commands go to the server that is the primary."""
    publish_follow_verify(sentinels.url, folder)


def test_works_with_tls(tls_url: str, folder: Path) -> None:
    """The URL has a client certificate, a user and a database."""
    publish_follow_verify(tls_url, folder)


def publish_follow_verify(redis_url: str, folder: Path) -> None:
    """Let two commits reach a mirror event by event, and `verify` find no difference."""
    (folder / "publisher.toml").write_text(
        '[catalogs.here]\nsource = "file"\nurl = "tree.json"\n'
        '[catalogs.there]\nsource = "file"\nurl = "tree.json"\n'
    )
    to = f"sqlite:///{folder / 'copy.sqlite'}"
    environment = {"CATEGORY_PUBLISHER_REDIS_URL": redis_url}
    for tree in (ONE, TWO):
        replace(folder / "tree.json", orjson.dumps(tree))
        for module, *words in (
            (PUBLISHER, "sync"),
            (CONSUMER, "mirror", "there", "--to", to, "--once"),
        ):
            done = call(module, *words, cwd=folder, **environment)
            assert done.returncode == 0, done.stderr
            assert "hunter2" not in done.stdout + done.stderr
    assert "resynced" not in done.stderr
    done = call(CONSUMER, "verify", "there", "--to", to, cwd=folder, **environment)
    assert done.returncode == 0, done.stderr


async def test_an_unknown_authority_is_a_permanent_error(tls_url: str) -> None:
    """The message says what to check, and shows no password."""
    with pytest.raises(RedisError, match=r"check the ssl_… options of redis_url") as raised:
        await check_server(Server(tls_url.replace("?ssl_ca_certs=", "?client_name=")))
    assert not raised.value.is_transient
    assert "hunter2" not in str(raised.value)


async def test_a_missing_client_certificate_is_named(tls_url: str) -> None:
    """The server may just close the connection, which looks like an outage."""
    message = r"^Redis at rediss://127\.0\.0\.1:\d+/3: .*certificate"
    with pytest.raises(RedisError, match=message):
        await check_server(Server(tls_url.partition("&ssl_certfile")[0]))


@pytest.mark.slow
async def test_a_port_without_tls_is_an_error_soon(own_valkey: Valkey) -> None:
    """The message asks about TLS: such a server answers nothing to a TLS client."""
    url = own_valkey.tcp_url.replace("redis://", "rediss://:hunter2@")
    async with asyncio.timeout(patience(15)):
        with pytest.raises(RedisError, match="does it speak TLS on this port") as raised:
            await check_server(Server(url))
    assert raised.value.is_transient
    assert "hunter2" not in str(raised.value)


Answer: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer_with(info: str) -> Answer:
    """Return what answers INFO with `info`, as a server without a password does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"INFO" not in await reader.read(1000):
            writer.write(b"+OK\r\n")
        writer.write(b"$%d\r\n%s\r\n" % (len(info), info.encode()))
        await reader.read()
        writer.close()

    return serve


@asynccontextmanager
async def fake_server(info: str) -> AsyncIterator[Server]:
    """Serve `info` to INFO on a port of loopback."""
    async with await asyncio.start_server(answer_with(info), "127.0.0.1", 0) as listening:
        yield Server(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}")


def info_of(redis_version: str, **others: str) -> str:
    """Return the part `server` of INFO, as Redis and Valkey write it."""
    fields = {"redis_version": redis_version, "redis_mode": "standalone", **others}
    return "# Server\r\n" + "".join(f"{name}:{value}\r\n" for name, value in fields.items())


VALKEY = {"server_name": "valkey", "valkey_release_stage": "ga"}


@pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.20", "6.2.0", "6.2.14", "6.9.240"])
async def test_a_server_older_than_7_0_is_refused(version: str) -> None:
    """The message names it and what is needed; waiting does not help."""
    async with fake_server(info_of(version)) as server:
        with pytest.raises(RedisError) as raised:
            await asyncio.wait_for(wait_until_available(server), PATIENCE)
    assert str(raised.value) == (
        f"Redis at {server.address} is version {version}: Redis 7.0, Valkey 7.2 or newer is needed"
    )
    assert not raised.value.is_transient


@pytest.mark.parametrize(
    "info",
    [
        info_of("7.0.0"),
        info_of("7.0.15"),
        info_of("7.2.4"),
        info_of("8.0.0"),
        info_of("10.0.1"),
        info_of("255.255.255"),
        info_of("7.2.4", **VALKEY, valkey_version="7.2.11"),
        info_of("7.2.4", **VALKEY, valkey_version="8.1.3"),
        info_of("7.2.4", **VALKEY, valkey_version="9.0.0"),
    ],
)
async def test_a_server_from_7_0_on_is_accepted(info: str) -> None:
    """Valkey says which Redis it is compatible with."""
    async with fake_server(info) as server:
        await check_server(server)


async def test_each_node_of_a_cluster_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the one that is too old."""
    versions = {"a:1": "7.0.0", "b:2": "6.2.14", "c:3": "8.0.0"}

    async def per_node(_client: Client, *, replicas: bool) -> dict[str, NodeCommand]:
        assert not replicas

        def answer(version: str) -> NodeCommand:
            async def command(*words: str) -> dict[str, str]:
                assert words == ("INFO", "server")
                return {"redis_version": version}

            return command

        return {node: answer(version) for node, version in versions.items()}

    monkeypatch.setattr(servers, "per_node", per_node)
    with pytest.raises(
        RedisError,
        match=whole("Redis at b:2 is version 6.2.14: Redis 7.0, Valkey 7.2 or newer is needed"),
    ):
        await check_server(Server("redis-cluster://127.0.0.1:1"))


async def test_a_server_that_refuses_info_is_named(own_valkey: Valkey) -> None:
    """The advice is that of the refusal."""
    execute_on(own_valkey, "ACL SETUSER", "a", "on", "nopass", "~*", "+@all", "-info")
    server = Server(own_valkey.tcp_url.replace("://", "://a:x@"))
    with pytest.raises(
        RedisError,
        match=whole(
            "Redis at redis://127.0.0.1:<any>/0: User a has no permissions to run the "
            "'info' command (let this user's ACL allow the command: see docs/security.md)"
        ),
    ) as raised:
        await check_server(server)
    assert not raised.value.is_transient


async def test_a_check_leaves_no_connection(own_valkey: Valkey) -> None:
    """Neither after a success nor after a refusal."""
    execute_on(own_valkey, "ACL SETUSER", "a", "on", "nopass", "~*", "+@all", "-info")
    await check_server(Server(own_valkey.tcp_url))
    with pytest.raises(RedisError):
        await check_server(Server(own_valkey.tcp_url.replace("://", "://a:x@")))

    async def only_asking() -> bool:
        return len(execute_on(own_valkey, "CLIENT LIST")) == 1

    await eventually(only_asking)


async def test_the_limits_of_a_client() -> None:
    """They suit a large commit, and a thousand catalogs after a failover."""
    for client, timeout, retries in (
        (Server("redis://127.0.0.1:1/0").client(), 60.0, 3),
        (Server("redis://127.0.0.1:1/0").client(timeout=7.0, retries=1), 7.0, 1),
    ):
        assert isinstance(client, redis.asyncio.Redis)
        options = client.connection_pool.connection_kwargs
        assert client.connection_pool.max_connections == 5000
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (timeout, 5.0)
        assert options["retry"].get_retries() == retries
        await client.aclose()


async def test_waits_for_a_server_that_is_not_there_yet(logs: list[Any]) -> None:
    """The log says once what is unavailable, where and why, and once that it is back."""
    async with fake_server(info_of("7.2.4")) as server:
        pass
    waiting = asyncio.create_task(wait_until_available(server))

    async def is_logged() -> bool:
        return bool(logs)

    await eventually(is_logged)
    listening = await asyncio.start_server(
        answer_with(info_of("7.2.4")), "127.0.0.1", int(server.address.rpartition(":")[2])
    )
    async with listening:
        await asyncio.wait_for(waiting, PATIENCE)
    error = logs[0].pop("error")
    assert error.startswith(f"Redis at {server.address}: ")
    assert logs == [
        {
            "event": "redis unavailable, retrying",
            "address": server.address,
            "log_level": "warning",
        },
        {"event": "redis available again", "address": server.address, "log_level": "info"},
    ]
