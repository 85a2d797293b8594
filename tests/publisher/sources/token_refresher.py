"""A process that renews tokens as a publisher does, then waits until it is killed.

python -m tests.publisher.sources.token_refresher URL FOLDER [REDIS_URL]
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import structlog

from plumbing.cli.signals import until_stopped
from plumbing.config.settings import TikTokShopSettings
from plumbing.redis.server import Server
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenStore
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens
from publisher.sources.tiktok.tokens.stores import token_store
from tests.publisher.sources.fake_shop import TOKEN_KEY, settings_at
from tests.publisher.sources.open_sources import tiktok_client


@asynccontextmanager
async def open_store(
    settings: TikTokShopSettings, redis_url: str | None
) -> AsyncIterator[TokenStore]:
    """Open the store in Redis, or the one in the token file without a URL."""
    if redis_url is None:
        yield FileTokenStore(settings.token_file)
        return
    server = Server(redis_url)
    async with server.client() as client:
        yield token_store(settings, settings.token_file.parent, client, server)


def print_line(text: str) -> None:
    """Print `text` at once, for the test that reads it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def renew_and_wait(settings: TikTokShopSettings, redis_url: str | None) -> int:
    """Print `ready`, then the renewed token, then wait."""
    async with aiohttp.ClientSession() as session, open_store(settings, redis_url) as store:
        tokens = RefreshedTokens(settings, tiktok_client(settings, session), store)
        print_line("ready")
        print_line(await tokens.renew("access-0"))
        await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    url, folder, *redis_urls = sys.argv[1:]
    shop = settings_at(url, Path(folder), token_key=TOKEN_KEY if redis_urls else None).tiktok_shop
    work = renew_and_wait(shop, redis_urls[0] if redis_urls else None)
    sys.exit(asyncio.run(until_stopped(work)))
