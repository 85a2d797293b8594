"""A publisher of a sandbox's tree, built as the commands build it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from plumbing.config.settings import CatalogSettings, Settings, TikTokShopSettings
from publisher.app import App, open_app
from publisher.sandbox import Sandbox
from tests.support.valkey import Valkey


@asynccontextmanager
async def open_publisher(sandbox: Sandbox, valkey: Valkey, folder: Path) -> AsyncIterator[App]:
    """Open a publisher of the sandbox's tree, as catalog `us`."""
    shop = TikTokShopSettings(
        api_url=sandbox.url,
        auth_url=sandbox.url,
        app_key=sandbox.options.app_key,
        app_secret=SecretStr(sandbox.options.app_secret),
        access_token=SecretStr(sandbox.options.access_token),
        refresh_token=SecretStr(sandbox.options.refresh_token),
        token_file=folder / "tokens.json",
    )
    catalog = CatalogSettings(
        source="tiktok_shop", category_version="v2", shop_cipher=sandbox.options.shops[0].cipher
    )
    settings = Settings.model_construct(
        redis_url=SecretStr(valkey.url), catalogs={"us": catalog}, tiktok_shop=shop
    )
    async with open_app(settings, ["us"]) as app:
        yield app
