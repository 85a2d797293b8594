"""A process of its own that renews tokens until it is killed, as a publisher would.

python -m tests.publisher.sources.refresher URL FOLDER [REDIS_URL]
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
from tests.publisher.sources.fake_shop import settings_at
from tests.publisher.sources.open_sources import tiktok_client

TOKEN_KEY = "a2V5LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy1sb25nISE="


@asynccontextmanager
async def opened(settings: TikTokShopSettings, redis_url: str | None) -> AsyncIterator[TokenStore]:
    if redis_url is None:
        yield FileTokenStore(settings.token_file)
        return
    server = Server(redis_url)
    async with server.client() as client:
        folder = settings.token_file.parent
        yield token_store(settings, data_dir=folder, client=client, server=server)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def renew(settings: TikTokShopSettings, redis_url: str | None) -> int:
    async with aiohttp.ClientSession() as session, opened(settings, redis_url) as store:
        tokens = RefreshedTokens(settings, tiktok_client(settings, session), store)
        say("ready")
        say(await tokens.renewed("access-0"))
        await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    url, folder, *redis_urls = sys.argv[1:]
    shop = settings_at(url, Path(folder), token_key=TOKEN_KEY if redis_urls else None).tiktok_shop
    sys.exit(asyncio.run(until_stopped(renew(shop, redis_urls[0] if redis_urls else None))))
