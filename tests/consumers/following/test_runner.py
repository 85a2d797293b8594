"""Redis restarts, hangs, is busy or refuses: a mirror logs it once, and waits."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from plumbing.errors import RedisError
from plumbing.redis.server import Server
from tests.consumers.mirrors import mirror_once, running_mirror, wait_until_equal
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.support.messages import whole
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

HOME = row("1", "Home")


@pytest.fixture
def own_valkey(folder: Path) -> Iterator[Valkey]:
    """Yield a server of the test's own, which it may kill or pause."""
    with Valkey(folder, "--busy-reply-threshold", "50") as valkey:
        yield valkey


@pytest.fixture
async def publisher(own_valkey: Valkey) -> AsyncIterator[PretendPublisher]:
    """Yield a publisher on it."""
    async with Server(own_valkey.url).client() as client:
        yield PretendPublisher(client)


async def logged_outage(logs: list[Any], *events: str) -> bool:
    """Return whether exactly these events of an outage were logged, in this order."""
    return [log["event"] for log in logs if "redis" in log["event"]] == list(events)


AWAY = "redis unavailable, retrying"
BACK = "redis available again"


async def test_a_restart(
    own_valkey: Valkey, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """Nothing is lost when the server is killed and started again."""
    await publisher.commit(tree(HOME))
    async with running_mirror(Server(own_valkey.url), to):
        await wait_until_equal(to, publisher)
        own_valkey.kill()
        await eventually(lambda: logged_outage(logs, AWAY))
        own_valkey.start()
        await publisher.commit(numbered(3))
        await wait_until_equal(to, publisher)
        await eventually(lambda: logged_outage(logs, AWAY, BACK))


async def test_a_server_that_hangs(
    own_valkey: Valkey, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """A mirror also waits for a server that accepts connections but does not answer."""
    await publisher.commit(tree(HOME))
    async with running_mirror(Server(own_valkey.url), to):
        await wait_until_equal(to, publisher)
        own_valkey.pause()
        await eventually(lambda: logged_outage(logs, AWAY))
        own_valkey.resume()
        await publisher.commit(numbered(3))
        await wait_until_equal(to, publisher)
        await eventually(lambda: logged_outage(logs, AWAY, BACK))


async def test_a_long_script(
    own_valkey: Valkey, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """While a script blocks the server, it answers BUSY: a mirror waits for that too."""
    await publisher.commit(tree(HOME))
    async with running_mirror(Server(own_valkey.url), to), own_valkey.client() as other:
        await wait_until_equal(to, publisher)
        script = asyncio.gather(other.eval("while true do end", 0), return_exceptions=True)
        await eventually(lambda: logged_outage(logs, AWAY))
        await publisher.client.script_kill()
        await script
        await publisher.commit(numbered(3))
        await wait_until_equal(to, publisher)


async def test_once_does_not_wait(own_valkey: Valkey, to: str) -> None:
    """With --once an outage is an error that names the server."""
    own_valkey.kill()
    with pytest.raises(
        RedisError,
        match=whole(
            "Redis at unix://<any>/s: Error 111 connecting to <any>/s. Connection refused. "
            "(is it running, and is redis_url right?)"
        ),
    ):
        await mirror_once(Server(own_valkey.url), to)


async def test_a_permanent_error_ends_it(
    own_valkey: Valkey, publisher: PretendPublisher, to: str
) -> None:
    """A wrong password does not become right by waiting: the mirror ends with advice."""
    await publisher.client.config_set("requirepass", "hunter2")
    with pytest.raises(
        RedisError,
        match=whole(
            "Redis at unix://<any>/s: Authentication required. (check user name and "
            "password in CATEGORY_PUBLISHER_REDIS_URL)"
        ),
    ):
        await run_until_it_ends(Server(own_valkey.url), to)


async def run_until_it_ends(server: Server, to: str) -> None:
    """Run a mirror until it ends by itself."""
    async with running_mirror(server, to) as task:
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.done()
