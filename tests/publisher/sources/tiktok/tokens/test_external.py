"""Another system's access tokens: read before each fetch, never refreshed."""

import asyncio
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from publisher.errors import TokenError
from publisher.sources.read_file import Unreadable
from publisher.sources.tiktok.tokens.external import run_command
from tests.publisher.sources.fake_shop import CATEGORIES, GOOD_DATA, FakeShop, envelope
from tests.publisher.sources.open_sources import open_source
from tests.support.messages import whole
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.contract("7")

EXPIRED = envelope(105002, "Expired credentials", status=401)


def sent_tokens(shop: FakeShop) -> list[str]:
    """Return the access tokens of the requests."""
    return [asked.headers["x-tts-access-token"] for asked in shop.requests_for(CATEGORIES)]


def write_private(path: Path, content: str) -> Path:
    """Write a file that only its owner can use."""
    path.touch(mode=0o600)
    path.write_text(content)
    return path


def shell(script: str) -> str:
    """Return the command line that runs `script` in a shell."""
    return shlex.join(["sh", "-c", script])


async def fetch(shop: FakeShop, session: aiohttp.ClientSession, folder: Path, **owner: Any) -> None:
    """Fetch with the token of `owner`: access_token_file or access_token_command."""
    settings = shop.settings(folder, access_token=None, refresh_token=None, **owner)
    await open_source(session, settings).fetch()


async def fetch_failure(
    shop: FakeShop, session: aiohttp.ClientSession, folder: Path, **owner: Any
) -> str:
    """Fetch, and return the message of the TokenError; it must contain no token."""
    with pytest.raises(TokenError) as caught:
        await fetch(shop, session, folder, **owner)
    assert "hush" not in str(caught.value)
    return str(caught.value)


async def test_the_file_is_read_before_each_fetch(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Its owner may replace it at any time; blanks around the token are ignored."""
    path = write_private(tmp_path / "token", "one\n")
    settings = shop.settings(tmp_path, access_token=None, access_token_file=path)
    source = open_source(session, settings)
    await source.fetch()
    path.write_text("  two  \n")
    await source.fetch()
    assert sent_tokens(shop) == ["one", "two"]


async def test_a_refused_token_is_read_again(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Another token is tried once; nothing is refreshed."""
    shop.answers[CATEGORIES] = [EXPIRED, envelope(data=GOOD_DATA)]
    counter = tmp_path / "count"
    counter.write_text("")
    command = shell(f"printf x >> {counter}; printf token-; cat {counter}")
    await fetch(shop, session, tmp_path, access_token_command=command)
    assert sent_tokens(shop) == ["token-x", "token-xx"]
    assert len(shop.requests) == 2


async def test_the_same_token_again_is_not_sent(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The message names its owner, who has to act."""
    shop.answers[CATEGORIES] = [EXPIRED]
    path = write_private(tmp_path / "token", "hush")
    text = await fetch_failure(shop, session, tmp_path, access_token_file=path)
    assert f"access_token_file {path} still returns the access token" in text
    assert len(shop.requests) == 1


async def test_a_file_without_a_token_is_named(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Missing, open to others, a folder, empty, several words, or binary."""
    path = tmp_path / "token"
    failure = partial(fetch_failure, shop, session, tmp_path, access_token_file=path)
    assert f"access_token_file {path} does not exist" in await failure()
    write_private(path, "hush")
    path.chmod(0o640)
    assert f"run `chmod 600 {path}`" in await failure()
    path.chmod(0o600)
    for content in ("", " \n", "hush hush", "hush\nhush", "hush\0", "hüsh"):
        path.write_text(content)
        assert "returned no token" in await failure()
    path.unlink()
    path.mkdir()
    assert "is a folder" in await failure()
    assert not shop.requests


async def test_a_command_without_a_token_is_named(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Without its arguments and its output, which may be secret."""

    async def failure(command: str) -> str:
        return await fetch_failure(shop, session, tmp_path, access_token_command=command)

    assert "cannot be run: No such file" in await failure("/no/such/thing --key hush")
    text = await failure(shell("echo hush; echo hush >&2; exit 3"))
    assert "access_token_command sh failed with exit code 3" in text
    assert "returned no token" in await failure("true")
    assert "prints more than" in await failure("yes hush")
    assert "returned no token" in await failure(shell("echo hush hush"))


async def test_the_command_runs_without_a_shell(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Text that a shell would expand or run stays text."""
    await fetch(shop, session, tmp_path, access_token_command="printf %s '$HOME;`id`'")
    assert sent_tokens(shop) == ["$HOME;`id`"]


async def test_a_cancelled_command_is_killed(tmp_path: Path) -> None:
    """With its children: no process is left."""
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"
    task = asyncio.create_task(run_command(["sh", "-c", script]))
    await eventually(lambda: asyncio.to_thread(pids.exists))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    killed = [int(pid) for pid in pids.read_text().split()]

    async def are_gone() -> bool:
        return not any(_is_running(pid) for pid in killed)

    assert len(killed) == 2
    await eventually(are_gone)


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("script", ["sleep 600", "echo hush; sleep 600 & exit 0"])
async def test_a_command_that_does_not_end_is_killed(script: str) -> None:
    """Even if only a child of it keeps the output open."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unreadable, match=whole("did not end within 0.2 s")):
            await run_command(["sh", "-c", script], seconds=0.2)
