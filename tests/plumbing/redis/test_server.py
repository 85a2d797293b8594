"""The same commands work with a Cluster, with Sentinels and with TLS."""

import asyncio
from pathlib import Path

import orjson
import pytest

from plumbing.errors import RedisError
from plumbing.redis.server import Server, check_server
from tests.support.processes import CONSUMER, PUBLISHER, call, replace
from tests.support.redis_servers import Cluster, Sentinels
from tests.support.valkey import Valkey
from tests.support.waiting import patience

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
