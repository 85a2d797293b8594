"""Chooses the store of a shop's tokens: a file, or Redis with a `token_key`.

The store in Redis is imported only when it is used: cryptography takes 0.02 s.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plumbing.config.settings import Settings, TikTokShopSettings
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import Client, Server, open_server
from publisher.sources.tiktok.error_codes import AUTHORIZE_COMMAND
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenStore


def token_store(
    shop: TikTokShopSettings,
    data_dir: Path,
    client: Client,
    server: Server,
    authorize_command: str = AUTHORIZE_COMMAND,
) -> TokenStore:
    """Return the token store of `shop`: Redis if it has a `token_key`, else a file.

    `authorize_command` gets a new pair, for messages.
    """
    file = FileTokenStore(shop.token_file, authorize_command)
    if shop.token_key is None:
        return file
    from publisher.sources.tiktok.tokens.redis_store import RedisTokenStore  # noqa: PLC0415

    # below data_dir, the path in the key is the one that is configured, equal on all machines
    is_below = file.path.is_relative_to(data_dir)
    name = (file.path.relative_to(data_dir) if is_below else file.path).as_posix()
    key = f"tiktok_shop:{{{shop.app_key}}}:tokens:{name}"
    return RedisTokenStore(key, shop.token_key, file, client, server, authorize_command)


@asynccontextmanager
async def open_token_store(
    settings: Settings, shop: TikTokShopSettings, authorize_command: str
) -> AsyncIterator[TokenStore]:
    """Open the token store of `shop`; connect to Redis only if the tokens are there."""
    if shop.token_key is None:
        yield FileTokenStore(shop.token_file, authorize_command)
        return
    async with (
        open_server(settings, EmbeddedMode.START_IF_NEEDED) as server,
        server.client() as client,
    ):
        yield token_store(shop, settings.data_dir, client, server, authorize_command)
