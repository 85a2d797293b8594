"""Where a catalog's access tokens come from."""

import shlex
from functools import partial
from typing import Protocol

from plumbing.config.settings import TikTokShopSettings
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.external import ExternalTokens, from_command, from_file
from publisher.sources.tiktok.tokens.pair import TokenStore
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens


class TokenProvider(Protocol):
    """Gives access tokens, to all catalogs that use the same ones.

    Raises TokenError if there is none, SourceError or RedisError if not now.
    """

    async def current(self) -> str:
        """Return the access token to try first."""
        ...

    async def renewed(self, refused: str) -> str:
        """Return another one than `refused`, which TikTok Shop takes no more."""
        ...


def token_provider(
    settings: TikTokShopSettings, api: TikTokClient, store: TokenStore
) -> TokenProvider:
    """Return the way to tokens that `settings` choose (contract, 7); `store` is for our own."""
    if settings.access_token_file is not None:
        path = settings.access_token_file
        return ExternalTokens(f"access_token_file {path}", partial(from_file, path))
    if settings.access_token_command is not None:
        words = shlex.split(settings.access_token_command)
        return ExternalTokens(f"access_token_command {words[0]}", partial(from_command, words))
    return RefreshedTokens(settings, api, store)
