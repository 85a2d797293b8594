"""Tokens shared through a Redis Cluster: the lock and the swap work where the key's slot is."""

from pathlib import Path

import pytest

from plumbing.redis.server import Server
from publisher.errors import RefreshUnderWay
from publisher.sources.tiktok.tokens.pair import TokenPair
from publisher.sources.tiktok.tokens.stores import token_store
from tests.publisher.sources.fake_shop import TOKEN_KEY, settings_at
from tests.support.redis_servers import Cluster

PAIR = TokenPair(access_token="access-0", refresh_token="refresh-0")
NEW = TokenPair(access_token="access-1", refresh_token="refresh-1")


async def test_tokens_in_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Stored, replaced once, and locked against each other."""
    settings = settings_at("http://127.0.0.1:1", tmp_path, token_key=TOKEN_KEY).tiktok_shop
    server = Server(cluster.url)
    async with server.client() as client:
        one, two = (
            token_store(settings, data_dir=tmp_path, client=client, server=server) for _ in range(2)
        )
        await one.store(PAIR)
        await one.check_writable()
        async with one.locked():
            with pytest.raises(RefreshUnderWay):
                async with two.locked(0):
                    pass
            assert await one.replace(PAIR, NEW)
            assert not await two.replace(PAIR, PAIR.model_copy(update={"stored_at": 1.0}))
        async with two.locked(0):
            assert await two.load() == NEW
