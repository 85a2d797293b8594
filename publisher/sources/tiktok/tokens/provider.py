"""Chooses where a catalog's access tokens come from: our own refreshed pair, or another system."""

import shlex
from functools import partial
from typing import Protocol

from plumbing.config.settings import TikTokShopSettings
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.external import ExternalTokens, read_private, run_command
from publisher.sources.tiktok.tokens.pair import TokenStore
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens


class TokenProvider(Protocol):
    """Provides the access token that several catalogs share.

    Raises TokenError if there is none; SourceError or RedisError if there is none at the moment.
    """

    async def current(self) -> str:
        """Return the access token to try first."""
        ...

    async def renew(self, refused: str) -> str:
        """Return another access token than `refused`, which TikTok Shop does not accept."""
        ...


def token_provider(
    settings: TikTokShopSettings, client: TikTokClient, store: TokenStore
) -> TokenProvider:
    """Return the token provider that `settings` choose (contract, 7).

    `store` is for the tokens that the publisher refreshes itself.
    """
    if settings.access_token_file is not None:
        path = settings.access_token_file
        return ExternalTokens(f"access_token_file {path}", partial(read_private, path))
    if settings.access_token_command is not None:
        command = shlex.split(settings.access_token_command)
        return ExternalTokens(f"access_token_command {command[0]}", partial(run_command, command))
    return RefreshedTokens(settings, client, store)
