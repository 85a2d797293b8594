"""The embedded server: who starts it, who keeps it up, who stops it (contract, 7)."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from plumbing.errors import EmbeddedServerError
from plumbing.redis import embedded
from plumbing.redis.embedded import open_embedded_server
from plumbing.redis.embedded_mode import EmbeddedMode
from tests.support.waiting import eventually


async def listens(folder: Path) -> bool:
    client = redis.asyncio.Redis(
        unix_socket_path=str(folder / embedded.SOCKET), protocol=2, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(await client.ping())
    except redis.exceptions.RedisError:
        return False
    finally:
        await client.aclose()


def server_of(folder: Path) -> psutil.Process:
    """Return the process of the server in `folder`."""
    (found,) = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and str(folder) in " ".join(child.cmdline())
    ]
    return found


async def test_it_lives_as_long_as_somebody_uses_it(folder: Path) -> None:
    """The first to come starts it, the last to leave stops it, whoever started it."""
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED))
        await second.enter_async_context(open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED))
        await first.aclose()
        assert await listens(folder)
    assert not await listens(folder)


async def test_a_foreign_client_keeps_it(folder: Path) -> None:
    """It is not stopped under anybody who is connected."""
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url:
        foreign = redis.asyncio.Redis.from_url(url, single_connection_client=True, protocol=2)
        await foreign.ping()
    assert await foreign.ping()
    await foreign.aclose()
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
        pass
    assert not await listens(folder)


async def test_what_was_written_is_there_again(folder: Path) -> None:
    """The append-only file is on."""
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("k", "v")
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        assert await client.get("k") == b"v"


async def test_keep_starts_it_again(folder: Path) -> None:
    """Killed, it is up again within seconds, with its data."""
    async with (
        open_embedded_server(folder, EmbeddedMode.KEEP_RUNNING) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("k", "v")
        server_of(folder).kill()
        await eventually(lambda: listens(folder))
        assert await client.get("k") == b"v"
    assert not await listens(folder)


async def test_wait_waits(folder: Path) -> None:
    """A consumer starts none, and goes on once somebody has."""

    async def wait_for_it() -> bool:
        async with (
            open_embedded_server(folder, EmbeddedMode.WAIT) as url,
            redis.asyncio.Redis.from_url(url) as client,
        ):
            return bool(await client.ping())

    waiting = asyncio.create_task(wait_for_it())
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
        assert await waiting


async def test_many_come_and_go_at_once(folder: Path) -> None:
    """One server serves them all, and none is left."""

    async def visit() -> None:
        async with (
            open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
            redis.asyncio.Redis.from_url(url) as client,
        ):
            await client.incr("visits")

    await asyncio.gather(*(visit() for _ in range(10)))
    assert not await listens(folder)
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        assert await client.get("visits") == b"10"


async def test_a_path_too_long_for_a_socket(folder: Path) -> None:
    """One line says what to do."""
    with pytest.raises(EmbeddedServerError, match="choose a shorter data_dir"):
        async with open_embedded_server(folder / ("x" * 100), EmbeddedMode.START_IF_NEEDED):
            pass


async def test_a_data_dir_that_cannot_be_made(folder: Path) -> None:
    """A file in its place, say."""
    (folder / "data").write_text("")
    with pytest.raises(EmbeddedServerError, match="cannot be used"):
        async with open_embedded_server(folder / "data", EmbeddedMode.START_IF_NEEDED):
            pass


async def test_broken_data_are_told(folder: Path) -> None:
    """A server that refuses its files is quoted, with the place of its log."""
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("k", "v")
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("rubbish\n")
    with pytest.raises(EmbeddedServerError, match=r"exit code 1: .*redis\.log"):
        async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
            pass


async def test_a_busy_server_is_not_gone(folder: Path) -> None:
    """A second one on the same files would tear them: who comes waits, who keeps it up does too."""
    async with (
        open_embedded_server(folder, EmbeddedMode.KEEP_RUNNING) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.config_set("busy-reply-threshold", 10)
        busy: asyncio.Task[Any] = asyncio.create_task(
            client.eval(
                "local t = redis.call('TIME')[1] + 3 repeat until redis.call('TIME')[1] + 0 > t", 0
            )  # type: ignore[arg-type]
        )
        await asyncio.sleep(embedded.KEEP_UP_SECONDS * 1.5)
        server_of(folder)
        async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
            server_of(folder)
        await busy
        assert await client.ping()
        server_of(folder)


async def test_a_stopped_server_is_not_gone(folder: Path) -> None:
    """Nor is one that does not answer for a while."""
    async with (
        open_embedded_server(folder, EmbeddedMode.KEEP_RUNNING) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        server = server_of(folder)
        server.suspend()
        await asyncio.sleep(embedded.KEEP_UP_SECONDS * 2.5)
        assert server_of(folder) == server
        server.resume()
        assert await client.ping()
