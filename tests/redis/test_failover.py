"""What Sentinels do about a lost primary, as publisher and consumers see it."""

from consumers.stream import opened
from plumbing.errors import RedisError
from plumbing.server import Server
from tests.redis.publishing import Publishing, publishing
from tests.redis_servers import Sentinels
from tests.waiting import eventually


async def test_the_primary_is_lost(sentinels: Sentinels) -> None:
    """Publisher and reader go on with the new one, with the clients that they have."""
    async with (
        publishing(sentinels.url) as catalog,
        opened(Server(sentinels.url), "us", once=False) as stream,
    ):
        await catalog.poll(2)
        assert len(await stream.read("0-0", wait=True)) == 2
        await catalog.client.wait(1, 5000)
        sentinels.primary.kill()
        assert (await catalog.refused(4)).passing
        await eventually(lambda: is_published(catalog, 4))
        assert len(await stream.read("0-0", wait=True)) == 4
        assert await catalog.events() == [1, 2, 3, 4]


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
        return not error.passing
    return True
