"""Where the pair of tokens of a shop is kept: in a file, or with a `token_key` in Redis.

What Redis needs besides is imported for it: cryptography, 0.02 s.
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
    settings: TikTokShopSettings,
    authorize: str = AUTHORIZE_COMMAND,
    *,
    data_dir: Path,
    client: Client,
    server: Server,
) -> TokenStore:
    """Return where the pair of `settings` is kept: in Redis if there is a `token_key`.

    `authorize` is the command that gets a new pair, for messages.
    """
    file = FileTokenStore(settings.token_file, authorize)
    if settings.token_key is None:
        return file
    from publisher.sources.tiktok.tokens.redis_store import RedisTokenStore  # noqa: PLC0415

    key = f"tiktok_shop:{{{settings.app_key}}}:tokens:{_name(file.path, data_dir)}"
    return RedisTokenStore(key, settings.token_key, file, client, server, authorize)


@asynccontextmanager
async def open_token_store(
    settings: Settings, shop: TikTokShopSettings, authorize: str
) -> AsyncIterator[TokenStore]:
    """Open where the tokens of `shop`, which the command `authorize` gets, are kept.

    Redis only if that is there.
    """
    if shop.token_key is None:
        yield FileTokenStore(shop.token_file, authorize)
        return
    async with (
        open_server(settings, EmbeddedMode.START_IF_NEEDED) as server,
        server.client() as client,
    ):
        yield token_store(shop, authorize, data_dir=settings.data_dir, client=client, server=server)


def _name(token_file: Path, data_dir: Path) -> str:
    """Return `token_file` as it is configured, which is the same on each machine."""
    is_below = token_file.is_relative_to(data_dir)
    return (token_file.relative_to(data_dir) if is_below else token_file).as_posix()
