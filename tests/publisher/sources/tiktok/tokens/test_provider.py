"""Which provider the settings choose."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from publisher.sources.tiktok.tokens.external import ExternalTokens
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.provider import token_provider
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens
from tests.publisher.sources.fake_shop import settings_at
from tests.publisher.sources.open_sources import tiktok_client


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ({}, RefreshedTokens),
        ({"access_token_file": "/token"}, ExternalTokens),
        ({"access_token_command": "print-token"}, ExternalTokens),
    ],
)
async def test_tokens_of_another_system_are_not_refreshed(
    session: aiohttp.ClientSession, tmp_path: Path, owner: dict[str, Any], expected: type
) -> None:
    """Only tokens of our own have a store and are refreshed."""
    none = {"access_token": None, "refresh_token": None}
    settings = settings_at("http://127.0.0.1:1", tmp_path, **none, **owner).tiktok_shop
    client = tiktok_client(settings, session)
    provider = token_provider(settings, client, FileTokenStore(settings.token_file))
    assert isinstance(provider, expected)
