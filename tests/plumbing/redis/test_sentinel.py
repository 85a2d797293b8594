"""Publisher and consumers follow the Sentinels to a new primary."""

import pytest

from consumers.following.catalog_client import connect
from plumbing.errors import RedisError
from plumbing.redis.server import Server
from tests.plumbing.redis.published_catalog import PublishedCatalog, published_catalog
from tests.support.ports import free_port
from tests.support.redis_servers import MASTER, Sentinels, url_of
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually


@pytest.mark.contract("5.1")
async def test_continues_after_the_loss_of_the_primary(sentinels: Sentinels) -> None:
    """Publisher and consumer keep their clients."""
    await lose_primary(sentinels)


@pytest.mark.slow
async def test_continues_after_the_loss_of_a_sentinel_too(three_sentinels: Sentinels) -> None:
    """The other two Sentinels agree on a new primary.

    They are asked after the first does not answer.
    """
    await lose_primary(three_sentinels, three_sentinels.ports[0])


async def lose_primary(sentinels: Sentinels, *lost: int) -> None:
    """Kill the primary and the Sentinels at the ports `lost`.

    It does so after two events, then reads four.
    """
    async with (
        published_catalog(sentinels.url) as catalog,
        connect(Server(sentinels.url), "us", once=False) as stream,
    ):
        await catalog.poll(2)
        assert len(await stream.read("0-0", wait=True)) == 2
        await catalog.client.wait(1, round(1000 * PATIENCE))
        for port in lost:
            sentinels.kill_sentinel(port)
        sentinels.primary.kill()
        assert (await catalog.poll_error(4)).is_transient
        await eventually(lambda: is_published(catalog, 4))
        assert len(await stream.read("0-0", wait=True)) == 4
        assert await catalog.sequences() == [1, 2, 3, 4]


async def test_unreachable_sentinels_are_a_transient_error() -> None:
    """The message names all of them."""
    ports = [free_port(), free_port()]
    locations = [f"127.0.0.1:{port}" for port in ports]
    async with published_catalog(url_of("sentinel", ports, None, master=MASTER)) as catalog:
        error = await catalog.poll_error(1)
    assert f"none of its Sentinels ({', '.join(locations)}) names the primary: Error 111" in str(
        error
    )
    assert "is it running" in str(error)
    assert error.is_transient


async def test_a_refused_login_to_a_sentinel_is_a_permanent_error(sentinels: Sentinels) -> None:
    """The message says what to check, and shows no password."""
    (port,) = sentinels.ports
    with sentinels.asking(port) as sentinel:
        url = f"{sentinels.url}&sentinel_username=ours&sentinel_password=hunter2"
        async with published_catalog(url) as catalog:
            error = await catalog.poll_error(1)
        assert sentinel.acl_log()[0]["username"] == "ours"
        sentinel.acl_log_reset()
    assert f"none of its Sentinels (127.0.0.1:{port}) names the primary: " in str(error)
    assert "check user name and password" in str(error)
    assert "hunter2" not in str(error)
    assert not error.is_transient


async def test_a_server_that_is_no_sentinel_is_a_permanent_error(own_valkey: Valkey) -> None:
    """The URL has the port of the primary instead of a Sentinel's."""
    async with published_catalog(
        url_of("sentinel", [own_valkey.port], None, master=MASTER)
    ) as catalog:
        error = await catalog.poll_error(1)
    assert "unknown command 'SENTINEL'" in str(error)
    assert not error.is_transient


async def test_an_unknown_name_of_a_primary_is_an_error(sentinels: Sentinels) -> None:
    """The message shows the name, and no password."""
    url = sentinels.url.replace("master=mymaster", "master=nobody").replace("://", "://:hunter2@")
    async with published_catalog(url) as catalog:
        error = await catalog.poll_error(1)
    assert "none of its Sentinels knows a primary 'nobody'" in str(error)
    assert "hunter2" not in str(error)


async def is_published(catalog: PublishedCatalog, count: int) -> bool:
    try:
        await catalog.poll(count)
    except RedisError as error:
        return not error.is_transient
    return True
