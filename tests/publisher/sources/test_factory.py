"""What is checked when a source is opened from settings."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from plumbing.errors import ConfigError
from plumbing.redis.server import Server
from publisher.sources.factory import open_source_factory
from tests.publisher.sources.fake_shop import FakeShop
from tests.publisher.sources.open_sources import open_source
from tests.support.messages import whole


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("missing", "variable"),
    [
        ({"app_key": None}, "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KEY"),
        ({"app_secret": None}, "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET"),
        ({"app_secret": ""}, "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET"),
    ],
)
async def test_a_missing_secret_is_named_by_its_variable(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    missing: dict[str, Any],
    variable: str,
) -> None:
    """As an error of the configuration, before any request."""
    with pytest.raises(ConfigError, match=f"{variable} is not set"):
        open_source(session, shop.settings(tmp_path, **missing))


async def test_an_unknown_catalog_is_an_error_of_the_configuration(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The message names it."""
    with pytest.raises(
        ConfigError,
        match=whole(
            "catalog 'uk' is not configured (configured: us): add a section [catalogs.uk] to "
            "publisher.toml"
        ),
    ):
        open_source(session, shop.settings(tmp_path), "uk")


async def test_a_catalogs_own_token_needs_its_own_file(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Else the shared file, with another seller's tokens, would win once it exists."""
    with pytest.raises(
        ConfigError,
        match=whole(
            "catalogs.us: access_token needs a token_file of its own here: the inherited one "
            "would win, and is for other tokens"
        ),
    ):
        open_source(session, shop.settings(tmp_path, {"access_token": "access-9"}))

    own = {"access_token": "access-9", "token_file": str(tmp_path / "us.json")}
    await open_source(session, shop.settings(tmp_path, own)).fetch()
    assert shop.requests[0].headers["x-tts-access-token"] == "access-9"


async def test_the_session_is_closed_with_the_factory(shop: FakeShop, tmp_path: Path) -> None:
    """It is opened for the first source that sends requests."""
    settings, server = shop.settings(tmp_path), Server("redis://127.0.0.1:1")
    async with (
        server.client() as client,
        open_source_factory(settings, client, server) as sources,
    ):
        source = sources.open("us", settings)
        await source.fetch()
    with pytest.raises(RuntimeError, match=whole("Session is closed")):
        await source.fetch()
