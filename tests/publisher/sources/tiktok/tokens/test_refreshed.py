"""Tokens that the publisher refreshes: their use, and when they are refreshed."""

import asyncio
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from plumbing.errors import ConfigError
from publisher.errors import SourceError, TokenError, Transient
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens
from tests.publisher.sources.fake_shop import REFRESH, FakeShop, envelope, pair_data, raw_answer
from tests.publisher.sources.open_sources import tiktok_client
from tests.support.messages import whole
from tests.support.waiting import PATIENCE

DAY = 24 * 3600


def refreshed_tokens(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    folder: Path,
    later: float = 0,
    **settings: Any,
) -> RefreshedTokens:
    """Return tokens whose clock is `later` seconds ahead."""
    shop_settings = shop.settings(folder, **settings).tiktok_shop
    client = tiktok_client(shop_settings, session, clock=lambda: time.time() + later)
    return RefreshedTokens(shop_settings, client, FileTokenStore(shop_settings.token_file))


async def stored_pair(folder: Path) -> TokenPair:
    """Return the pair in the token file."""
    found = await FileTokenStore(folder / "tokens.json").load()
    assert found
    return found


async def test_the_file_wins_over_the_environment(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The environment's pair is only for the start; the file is read at every call."""
    tokens = refreshed_tokens(shop, session, tmp_path)
    assert await tokens.current() == "access-0"
    await FileTokenStore(tmp_path / "tokens.json").store(
        TokenPair(access_token="access-5", refresh_token="refresh-5")
    )
    assert await tokens.current() == "access-5"
    assert not shop.requests


async def test_no_tokens_are_a_clear_error(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The message names the command, the file and the environment variable."""
    tokens = refreshed_tokens(shop, session, tmp_path, access_token=None, refresh_token=None)
    with pytest.raises(TokenError) as caught:
        await tokens.current()
    for word in (
        "category-publisher authorize",
        str(tmp_path / "tokens.json"),
        "CATEGORY_PUBLISHER_TIKTOK_SHOP__ACCESS_TOKEN",
    ):
        assert word in str(caught.value)


async def test_without_a_refresh_token_there_is_no_renewal(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The access token is used until refused; the error names the missing variable."""
    tokens = refreshed_tokens(shop, session, tmp_path, refresh_token=None)
    assert await tokens.current() == "access-0"
    with pytest.raises(
        TokenError,
        match=whole(
            "the access token has expired, and there is no refresh token: set "
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__REFRESH_TOKEN, or run `category-publisher "
            "authorize`"
        ),
    ):
        await tokens.renew("access-0")
    assert not shop.requests


@pytest.mark.parametrize("bad", ["", "two words", "line\nbreak", "schlüssel"])
def test_an_invalid_token_is_an_error_of_the_configuration(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, bad: str
) -> None:
    """The message names the variable, but not its value."""
    with pytest.raises(
        ConfigError,
        match=whole(
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__ACCESS_TOKEN or "
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__REFRESH_TOKEN is not a token: one word of "
            "printable ASCII is expected"
        ),
    ) as caught:
        refreshed_tokens(shop, session, tmp_path, access_token=bad)
    assert not bad or bad not in str(caught.value)


async def test_a_pair_is_refreshed_before_it_expires(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It is used for six of its seven days, and replaced once on the last one."""
    shop.answers[REFRESH] = [
        envelope(data=pair_data(1)),
        envelope(data=pair_data(2, life=14 * DAY)),
    ]
    await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    assert await refreshed_tokens(shop, session, tmp_path, 5.9 * DAY).current() == "access-1"
    late = refreshed_tokens(shop, session, tmp_path, 6.1 * DAY)
    assert await late.current() == "access-2"
    assert await late.current() == "access-2"
    assert len(shop.requests_for(REFRESH)) == 2
    assert (await stored_pair(tmp_path)).refresh_token == "refresh-2"


@pytest.mark.parametrize(
    "failure",
    [raw_answer(b"", status=503), envelope(36004001, "expired"), envelope(106001, "sign")],
)
async def test_an_early_refresh_may_fail_while_the_token_is_good(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    log_lines: list[MutableMapping[str, Any]],
    failure: Any,
) -> None:
    """The polls go on and retry once a minute; start and end are logged once."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), failure]
    await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    settings, later = shop.settings(tmp_path).tiktok_shop, [6.5 * DAY]
    client = tiktok_client(settings, session, clock=lambda: time.time() + later[0])
    tokens = RefreshedTokens(settings, client, FileTokenStore(settings.token_file))
    for _ in range(3):
        assert await tokens.current() == "access-1"
    assert len(shop.requests_for(REFRESH)) == 2
    later[0] += 61
    assert await tokens.current() == "access-1"
    shop.answers[REFRESH] = [envelope(data=pair_data(2, life=30 * DAY))]
    assert await tokens.current() == "access-1"
    later[0] += 61
    assert await tokens.current() == "access-2"
    assert await tokens.current() == "access-2"
    assert len(shop.requests_for(REFRESH)) == 4
    assert [line["log_level"] for line in log_lines] == ["warning", "info"]
    assert "hush" not in str(log_lines)
    assert "refresh-1" not in str(log_lines)


async def test_a_token_that_is_good_is_used_while_another_refreshes(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    log_lines: list[MutableMapping[str, Any]],
) -> None:
    """Without a wait, a request or a line in the log."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1))]
    await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    tokens = refreshed_tokens(shop, session, tmp_path, 6.5 * DAY)
    async with FileTokenStore(tmp_path / "tokens.json").locked():
        assert await tokens.current() == "access-1"
    assert len(shop.requests_for(REFRESH)) == 1
    assert log_lines == []


class Overtaken(FileTokenStore):
    """Another process stores its pair just before each replacement."""

    others = TokenPair(access_token="access-9", refresh_token="refresh-9")

    async def replace(self, old: TokenPair | None, new: TokenPair) -> bool:
        """Store the other's pair, then replace."""
        await self.store(self.others)
        return await super().replace(old, new)


async def test_a_pair_that_another_stored_meanwhile_is_used(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Our new pair does not replace it."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1))]
    settings = shop.settings(tmp_path).tiktok_shop
    store = Overtaken(settings.token_file)
    tokens = RefreshedTokens(settings, tiktok_client(settings, session), store)
    assert await tokens.renew("access-0") == "access-9"
    assert await stored_pair(tmp_path) == Overtaken.others
    assert await tokens.current() == "access-9"


async def test_an_expired_token_is_not_sent(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """If its refresh fails, the poll fails."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), raw_answer(b"", status=503)]
    await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    with pytest.raises(
        Transient,
        match=whole("http://127.0.0.1:<any>/api/v2/token/refresh: HTTP 503, the server failed"),
    ):
        await refreshed_tokens(shop, session, tmp_path, 7.1 * DAY).current()
    assert len(shop.requests_for(REFRESH)) == 1 + 5


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(36004001, "expired, or was already used"), (36004005, "no such authorization")],
)
async def test_a_refused_refresh_needs_an_authorization(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, code: int, meaning: str
) -> None:
    """One request; the message names the command; the stored pair does not change."""
    shop.answers[REFRESH] = [envelope(code, "refresh-0 is bad", status=400)]
    with pytest.raises(
        TokenError, match=f"{meaning}.*run `category-publisher authorize`"
    ) as caught:
        await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    assert "refresh-0" not in str(caught.value)
    assert len(shop.requests) == 1
    assert not (tmp_path / "tokens.json").exists()


async def test_a_lost_answer_may_have_used_up_the_pair(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The error says so, and contains no secret."""

    async def abort(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    shop.answers[REFRESH] = [abort]
    with pytest.raises(
        Transient,
        match=whole(
            "http://127.0.0.1:<any>/api/v2/token/refresh: the connection was closed before "
            "the answer. The tokens may have been replaced anyway and the new ones lost: if "
            "the old ones are refused from now on, run `category-publisher authorize`"
        ),
    ) as e:
        await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    assert "hush" not in str(e.value)
    assert "refresh-0" not in str(e.value)

    shop.answers[REFRESH] = [abort, envelope(data=pair_data(1))]
    assert await refreshed_tokens(shop, session, tmp_path).renew("access-0") == "access-1"


async def test_an_unreachable_server_has_used_up_nothing(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Nothing was sent, so the error does not mention it."""
    async with FakeShop() as shop:
        tokens = refreshed_tokens(shop, session, tmp_path)
    with pytest.raises(
        Transient,
        match=whole(
            "http://127.0.0.1:<any>/api/v2/token/refresh: cannot connect (Connection refused)"
        ),
    ) as caught:
        await tokens.renew("access-0")
    assert "replaced" not in str(caught.value)


async def test_tokens_that_could_not_be_stored_are_not_requested(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A new pair that cannot be stored would be lost."""
    shop.answers[REFRESH] = [envelope(data=pair_data(1))]
    (tmp_path / "tokens.json.next").mkdir()
    with pytest.raises(
        TokenError,
        match=whole(
            "<any>/tokens.json: tokens cannot be stored: Is a directory: make its folder "
            "writable for this user, or choose another token_file"
        ),
    ):
        await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    assert not shop.requests


async def test_a_cancelled_refresh_stores_its_answer(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """However often it is cancelled; it raises CancelledError afterwards."""
    has_arrived, may_answer = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        has_arrived.set()
        await may_answer.wait()
        return await envelope(data=pair_data(1))(request)

    shop.answers[REFRESH] = [wait]
    task = asyncio.create_task(refreshed_tokens(shop, session, tmp_path).renew("access-0"))
    await has_arrived.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await stored_pair(tmp_path)).access_token == "access-1"
    async with asyncio.timeout(PATIENCE), FileTokenStore(tmp_path / "tokens.json").locked():
        pass


async def test_an_answer_without_tokens_changes_nothing(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Although its code is a success."""
    for answer in (
        envelope(data=None),
        envelope(data={}),
        raw_answer(b"<html>"),
        raw_answer(b"[]"),
    ):
        shop.answers[REFRESH] = [answer]
        with pytest.raises(SourceError, match="answer"):
            await refreshed_tokens(shop, session, tmp_path).renew("access-0")
    assert not (tmp_path / "tokens.json").exists()
