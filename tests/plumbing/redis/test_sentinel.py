"""What Sentinels do about a lost primary, as publisher and consumers see it."""

import pytest

from consumers.following.catalog_client import connect
from plumbing.errors import RedisError
from plumbing.redis.server import Server
from tests.plumbing.redis.publishing import Publishing, publishing
from tests.support.ports import free_port
from tests.support.redis_servers import MASTER, Sentinels, url_of
from tests.support.valkey import Valkey
from tests.support.waiting import eventually


async def test_the_primary_is_lost(sentinels: Sentinels) -> None:
    """Publisher and reader go on with the new one, with the clients that they have."""
    await go_on_without_primary(sentinels)


@pytest.mark.slow
async def test_a_sentinel_is_lost_too(three_sentinels: Sentinels) -> None:
    """Two of three agree on the new one, and are asked where the first does not answer."""
    await go_on_without_primary(three_sentinels, three_sentinels.ports[0])


async def go_on_without_primary(sentinels: Sentinels, *lost: int) -> None:
    """Kill the primary and the Sentinels at the ports `lost`, after two events; read four."""
    async with (
        publishing(sentinels.url) as catalog,
        connect(Server(sentinels.url), "us", once=False) as stream,
    ):
        await catalog.poll(2)
        assert len(await stream.read("0-0", wait=True)) == 2
        await catalog.client.wait(1, 5000)
        for port in lost:
            sentinels.kill_sentinel(port)
        sentinels.primary.kill()
        assert (await catalog.refused(4)).is_transient
        await eventually(lambda: is_published(catalog, 4))
        assert len(await stream.read("0-0", wait=True)) == 4
        assert await catalog.events() == [1, 2, 3, 4]


async def test_no_sentinel_is_there() -> None:
    """All that were asked are named; that passes, and so a consumer waits."""
    ports = [free_port(), free_port()]
    places = [f"127.0.0.1:{port}" for port in ports]
    async with publishing(url_of("sentinel", ports, None, master=MASTER)) as catalog:
        error = await catalog.refused(1)
    assert f"none of its Sentinels ({', '.join(places)}) names the primary: Error 111" in str(error)
    assert "is it running" in str(error)
    assert error.is_transient


async def test_a_sentinel_that_wants_a_login(sentinels: Sentinels) -> None:
    """That stays, and what to check is told, with no password."""
    (port,) = sentinels.ports
    with sentinels.asking(port) as sentinel:
        url = f"{sentinels.url}&sentinel_username=ours&sentinel_password=hunter2"
        async with publishing(url) as catalog:
            error = await catalog.refused(1)
        assert sentinel.acl_log()[0]["username"] == "ours"
        sentinel.acl_log_reset()
    assert f"none of its Sentinels (127.0.0.1:{port}) names the primary: " in str(error)
    assert "check user name and password" in str(error)
    assert "hunter2" not in str(error)
    assert not error.is_transient


async def test_who_is_no_sentinel(own_valkey: Valkey) -> None:
    """A server's port instead of a Sentinel's is a mistake that waiting does not mend."""
    async with publishing(url_of("sentinel", [own_valkey.port], None, master=MASTER)) as catalog:
        error = await catalog.refused(1)
    assert "unknown command 'SENTINEL'" in str(error)
    assert not error.is_transient


async def test_a_name_that_the_sentinels_do_not_know(sentinels: Sentinels) -> None:
    """It is told, and nothing else."""
    url = sentinels.url.replace("master=mymaster", "master=nobody").replace("://", "://:hunter2@")
    async with publishing(url) as catalog:
        error = await catalog.refused(1)
    assert "none of its Sentinels knows a primary 'nobody'" in str(error)
    assert "hunter2" not in str(error)


async def is_published(catalog: Publishing, count: int) -> bool:
    try:
        await catalog.poll(count)
    except RedisError as error:
        return not error.is_transient
    return True
