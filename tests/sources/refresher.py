"""A process of its own that renews or stores tokens until it is killed: for `test_token_kills`.

python -m tests.sources.refresher renew URL FOLDER REFUSED
python -m tests.sources.refresher store URL FOLDER 0
"""

import asyncio
import sys
from pathlib import Path

import aiohttp

from plumbing.command import until_stopped
from plumbing.config import TikTokShopSettings
from publisher.sources.api import Api
from publisher.sources.own_tokens import OwnTokens

from .fake_shop import settings_at


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def renew(settings: TikTokShopSettings) -> int:
    async with aiohttp.ClientSession() as session:
        tokens = OwnTokens(settings, Api(settings, session, section="[catalogs.us]"))
        say("ready")
        say(await tokens.renewed("access-0"))
        await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    url, folder = sys.argv[1:]
    shop = settings_at(url, Path(folder)).tiktok_shop
    sys.exit(asyncio.run(until_stopped(renew(shop))))
