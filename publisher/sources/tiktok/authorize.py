"""Exchanges an authorization code for tokens, and stores them; lists the shops.

See TikTok Shop API, Tokens.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import aiohttp

from plumbing.config.settings import TikTokShopSettings
from plumbing.errors import ConfigError
from publisher.errors import SourceError, TokenError
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.retry import retry_transient
from publisher.sources.single_flight import run_to_completion
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.pair import TokenPair, TokenStore

SHOPS: Final = "/authorization/202309/shops"
SELLER: Final = 0
"""The `user_type` whose tokens give access to shops."""


class AuthorizedShop(NamedTuple):
    """A shop that the tokens give access to; `cipher` is the value for `shop_cipher`."""

    id: str
    name: str
    region: str
    seller_type: str
    cipher: str
    code: str


class Authorization(NamedTuple):
    """The seller who has authorized the app, and their shops. Contains no token."""

    seller_name: str
    shops: tuple[AuthorizedShop, ...]


async def authorize(
    code: str, settings: TikTokShopSettings, session: aiohttp.ClientSession, store: TokenStore
) -> Authorization:
    """Exchange an authorization code, store the pair in `store`, and list the shops.

    `code` is the code itself, or the whole address that the seller was sent back to. Raises
    ConfigError if it contains no code, if the app's key or secret is missing or if another system
    owns the tokens; TokenError if the code is not accepted or not a seller's (nothing is stored);
    SourceError if TikTok Shop does not answer; RedisError if the store is in Redis and it fails.
    """
    for name in ("access_token_file", "access_token_command"):
        if getattr(settings, name) is not None:
            raise ConfigError(
                f"{name} is set: another system owns the tokens, and stored ones would not be "
                f"used; remove {name} to authorize here"
            )
    section = "the catalog's section of publisher.toml"
    client = TikTokClient(settings, session, section=section, limiter=RequestLimiter(1))
    parsed_code = parse_code(code)

    async def exchange() -> tuple[Any, TokenPair]:
        async with store.locked():
            return await run_to_completion(_exchange_and_store(parsed_code, client, store))

    data, pair = await retry_transient(exchange)
    return Authorization(_text(data, "seller_name"), await _list_shops(client, pair, store))


def parse_code(text: str) -> str:
    """Return the authorization code: `text` itself, or the code in an address."""
    text = text.strip()
    if "://" in text:
        query = parse_qs(text.partition("?")[2].partition("#")[0])
        text = (query.get("code") or query.get("auth_code") or [""])[0]
    if not text:
        raise ConfigError(
            "there is no authorization code: expected the code, or the whole address that the "
            "seller was sent back to, with code=… in it"
        )
    return text


async def _exchange_and_store(
    code: str, client: TikTokClient, store: TokenStore
) -> tuple[Any, TokenPair]:
    await store.check_writable()
    data = await client.exchange_code(code)
    pair = TokenPair.from_answer(data, client.clock())
    if data.get("user_type", SELLER) != SELLER:
        raise TokenError(
            f"this authorization is of user type {data['user_type']!r}, not of a seller "
            f"({SELLER}): nothing was stored; let the shop's seller authorize the app"
        )
    await store.store(pair)
    return data, pair


async def _list_shops(
    client: TikTokClient, pair: TokenPair, store: TokenStore
) -> tuple[AuthorizedShop, ...]:
    try:
        data = await retry_transient(lambda: client.get_data(SHOPS, {}, pair.access_token))
    except (SourceError, TokenError) as error:
        raise SourceError(
            f"the tokens are stored in {store.location}, but the shops cannot be listed: {error}"
        ) from error
    rows = data.get("shops") if isinstance(data, dict) else None
    fields = AuthorizedShop._fields
    return tuple(AuthorizedShop(*(_text(row, field) for field in fields)) for row in rows or ())


def _text(row: Any, field: str) -> str:
    value = row.get(field) if isinstance(row, dict) else None
    return "" if value is None else str(value)
