"""Chooses the origin of a catalog's tokens: our own pair, or another system."""

import asyncio
import shlex
from functools import partial
from typing import TypeAlias

from plumbing.config.settings import TikTokShopSettings
from publisher.sources.read_file import read_file
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.external import ExternalTokens, run_command
from publisher.sources.tiktok.tokens.file_store import MAX_FILE_BYTES
from publisher.sources.tiktok.tokens.pair import TokenStore
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens

TokenProvider: TypeAlias = ExternalTokens | RefreshedTokens
"""Provides the access token that several catalogs share.

`current` returns the access token to try first, and `renew` another one than that which TikTok Shop
refused. Both raise TokenError if there is none; SourceError or RedisError if there is none at the
moment.
"""


def token_provider(
    settings: TikTokShopSettings, client: TikTokClient, store: TokenStore
) -> TokenProvider:
    """Return the token provider that `settings` choose (contract, 7).

    `store` is for the tokens that the publisher refreshes itself.
    """
    if (path := settings.access_token_file) is not None:
        read = partial(asyncio.to_thread, read_file, path, MAX_FILE_BYTES, private=True)
        return ExternalTokens(f"access_token_file {path}", read)
    if settings.access_token_command is not None:
        command = shlex.split(settings.access_token_command)
        return ExternalTokens(f"access_token_command {command[0]}", partial(run_command, command))
    return RefreshedTokens(settings, client, store)
