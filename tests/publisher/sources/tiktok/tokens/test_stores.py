"""Which store a shop's tokens have: a file, or a key in Redis."""

from pathlib import Path

import pytest
import redis.asyncio

from plumbing.redis.server import Server
from publisher.errors import TokenError
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.redis_store import RedisTokenStore
from publisher.sources.tiktok.tokens.stores import token_store
from tests.publisher.sources.fake_shop import (
    TOKEN_KEY,
    FakeShop,
)


async def test_without_a_token_key_the_pair_is_in_a_file(
    shop: FakeShop, client: redis.asyncio.Redis, server: Server, tmp_path: Path
) -> None:
    """The default. Its messages name the command that gets a new pair."""
    settings = shop.settings(tmp_path).tiktok_shop
    store = token_store(settings, tmp_path, client, server, "authorize --stand-in 1")
    assert isinstance(store, FileTokenStore)
    settings.token_file.write_text("{")
    settings.token_file.chmod(0o600)
    with pytest.raises(TokenError, match=r"run `authorize --stand-in 1`, which replaces it\Z"):
        await store.load()


@pytest.mark.parametrize(
    ("token_file", "name"),
    [
        ("tokens.json", "tokens.json"),
        ("us/tokens.json", "us/tokens.json"),
        ("uk/tokens.json", "uk/tokens.json"),
        ("../tokens.json", "../tokens.json"),
        ("/etc/shops/tokens.json", "/etc/shops/tokens.json"),
    ],
)
def test_token_files_in_other_folders_have_other_keys(
    shop: FakeShop,
    client: redis.asyncio.Redis,
    server: Server,
    tmp_path: Path,
    token_file: str,
    name: str,
) -> None:
    """Its name is from the settings: one per seller, the same on all machines."""
    settings = shop.settings(
        tmp_path, token_key=TOKEN_KEY, token_file=tmp_path / token_file
    ).tiktok_shop
    store = token_store(settings, data_dir=tmp_path, client=client, server=server)
    assert isinstance(store, RedisTokenStore)
    assert store.location == f"Redis key tiktok_shop:{{key-1}}:tokens:{name}"
