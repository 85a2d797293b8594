"""After a stop or a kill at any moment, the token file has a complete pair.

The processes are real. The shop kills them at the moment that the test is about.
"""

import asyncio
import os
import random
import signal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens
from tests.publisher.sources.fake_shop import REFRESH, FakeShop, envelope, pair_data
from tests.publisher.sources.open_sources import tiktok_client
from tests.publisher.sources.token_processes import kill_process, read_line, run_process
from tests.support.waiting import PATIENCE


@pytest.fixture
async def file(tmp_path: Path) -> FileTokenStore:
    """Give the token file with the pair 0 in it."""
    file = FileTokenStore(tmp_path / "tokens.json")
    await file.store(TokenPair(access_token="access-0", refresh_token="refresh-0"))
    return file


async def stored_tokens(file: FileTokenStore) -> tuple[str, str | None]:
    """Return the access token and the refresh token in the file."""
    found = await file.load()
    assert found
    return found.access_token, found.refresh_token


async def test_killed_before_the_request(shop: FakeShop, file: FileTokenStore) -> None:
    """The old pair stays, and the lock ends with the process."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1))]
    async with file.locked(), run_process("token_refresher", shop.url, file.path.parent) as process:
        await kill_process(process)
    assert not shop.requests
    assert await stored_tokens(file) == ("access-0", "refresh-0")
    async with asyncio.timeout(PATIENCE), file.locked():
        pass


async def test_killed_after_the_request_before_the_store(
    shop: FakeShop, session: aiohttp.ClientSession, file: FileTokenStore
) -> None:
    """The old pair stays, and another process can refresh it at once."""
    victim: list[asyncio.subprocess.Process] = []
    is_known = asyncio.Event()

    async def kill_refresher(request: web.Request) -> web.StreamResponse:
        await is_known.wait()
        await kill_process(victim[0])
        return await envelope(data=pair_data(1))(request)

    shop.answers[REFRESH] = [kill_refresher, envelope(data=pair_data(2))]
    async with run_process("token_refresher", shop.url, file.path.parent) as process:
        victim.append(process)
        is_known.set()
        assert await read_line(process) == ""
        await kill_process(process)
        assert process.returncode == -signal.SIGKILL
    assert await stored_tokens(file) == ("access-0", "refresh-0")

    settings = shop.settings(file.path.parent).tiktok_shop
    own = RefreshedTokens(settings, tiktok_client(settings, session), file)
    assert await own.renew("access-0") == "access-2"


async def test_killed_after_the_store(shop: FakeShop, file: FileTokenStore) -> None:
    """The new pair is in the file before it is used."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1))]
    async with run_process("token_refresher", shop.url, file.path.parent) as process:
        assert await read_line(process) == "access-1"
        await kill_process(process)
    assert await stored_tokens(file) == ("access-1", "refresh-1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_in_the_middle_of_a_refresh(
    shop: FakeShop, file: FileTokenStore, number: signal.Signals
) -> None:
    """The process stores the answer before it stops, with exit code 0."""
    victim: list[asyncio.subprocess.Process] = []
    is_known = asyncio.Event()

    async def stop(request: web.Request) -> web.StreamResponse:
        await is_known.wait()
        os.kill(victim[0].pid, number)
        return await envelope(data=pair_data(1))(request)

    shop.answers[REFRESH] = [stop]
    async with run_process("token_refresher", shop.url, file.path.parent) as process:
        victim.append(process)
        is_known.set()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    assert await stored_tokens(file) == ("access-1", "refresh-1")


@pytest.mark.slow
async def test_killed_at_any_moment_of_a_store(file: FileTokenStore) -> None:
    """The file is always complete: tokens that belong together, and mode 0600."""
    moments = random.Random(7)
    for _ in range(8):
        async with run_process("token_storer", file.path.parent) as process:
            await asyncio.sleep(moments.uniform(0.0, 0.05))  # the moment of the kill is under test
            await kill_process(process)
        access, refresh = await stored_tokens(file)
        assert refresh == access.replace("access", "refresh")
        assert file.path.stat().st_mode & 0o777 == 0o600
    await file.store(TokenPair(access_token="access-0", refresh_token="refresh-0"))
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["tokens.json"]


async def test_one_refresher_at_a_time(
    shop: FakeShop, session: aiohttp.ClientSession, file: FileTokenStore
) -> None:
    """Of two processes and eight tasks whose token is refused, one refreshes for all."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    settings = shop.settings(file.path.parent).tiktok_shop
    owns = [RefreshedTokens(settings, tiktok_client(settings, session), file) for _ in range(4)]
    async with (
        run_process("token_refresher", shop.url, file.path.parent) as one,
        run_process("token_refresher", shop.url, file.path.parent) as two,
    ):
        got = await asyncio.gather(*(own.renew("access-0") for own in owns + owns))
        assert {*got, await read_line(one), await read_line(two)} == {"access-1"}
    assert len(shop.requests_for(REFRESH)) == 1
