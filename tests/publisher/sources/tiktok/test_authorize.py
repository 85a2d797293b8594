"""Exchanging an authorization code for stored tokens and the list of shops."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from plumbing.config.settings import TikTokShopSettings
from plumbing.errors import ConfigError
from publisher.errors import SourceError, TokenError
from publisher.sources.tiktok.authorize import Authorization, AuthorizedShop, authorize, parse_code
from publisher.sources.tiktok.signature import sign
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from tests.publisher.sources.fake_shop import (
    GET_TOKEN,
    SHOPS,
    FakeShop,
    envelope,
    pair_data,
    raw_answer,
)
from tests.support.messages import whole

ROW = {
    "id": "749",
    "name": "Ann's",
    "region": "US",
    "seller_type": "CROSS_BORDER",
    "cipher": "GCP_x",
    "code": "USLC",
}


async def authorize_in_file(
    code: str, settings: TikTokShopSettings, session: aiohttp.ClientSession
) -> Authorization:
    """Authorize with the token file of `settings`."""
    return await authorize(code, settings, session, FileTokenStore(settings.token_file))


@pytest.fixture(autouse=True)
def _good_answers(shop: FakeShop) -> None:
    shop.answers[GET_TOKEN] = [envelope(data=pair_data(1))]
    shop.answers[SHOPS] = [envelope(data={"shops": [ROW, {"id": 7, "cipher": None}]})]


async def test_a_code_becomes_stored_tokens_and_shops(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The exchange goes to auth_url, the signed list of shops uses the new token."""
    found = await authorize_in_file("code-1", shop.settings(tmp_path).tiktok_shop, session)
    assert found.seller_name == "Ann's shop"
    assert found.shops == (AuthorizedShop(**ROW), AuthorizedShop("7", "", "", "", "", ""))
    [exchange] = shop.requests_for(GET_TOKEN)
    assert exchange.query == {
        "app_key": "key-1",
        "app_secret": "hush-app",
        "auth_code": "code-1",
        "grant_type": "authorized_code",
    }
    [shops] = shop.requests_for(SHOPS)
    assert shops.headers["x-tts-access-token"] == "access-1"
    assert shops.query["sign"] == sign("hush-app", SHOPS, shops.query)
    stored = await FileTokenStore(tmp_path / "tokens.json").load()
    assert stored
    assert stored.refresh_token == "refresh-1"
    assert "access-1" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "a+b/c",
        "  a+b/c\n",
        "https://me.example/back?app_key=k&code=a%2Bb%2Fc&locale=en",
        "https://me.example/back?auth_code=a%2Bb%2Fc&state=code",
    ],
)
def test_the_whole_address_is_accepted_as_the_code(text: str) -> None:
    """People copy what their browser shows."""
    assert parse_code(text) == "a+b/c"


@pytest.mark.parametrize("text", ["", " ", "https://me.example/back?error=hush", "x://?code="])
def test_no_code_is_a_clear_error(text: str) -> None:
    """It names what was expected, and quotes nothing."""
    with pytest.raises(
        ConfigError,
        match=whole(
            "there is no authorization code: expected the code, or the whole address that the "
            "seller was sent back to, with code=… in it"
        ),
    ) as caught:
        parse_code(text)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("user_type", [1, "1", None])
async def test_only_sellers_are_accepted(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, user_type: Any
) -> None:
    """For other user types nothing is stored and no shop is requested."""
    shop.answers[GET_TOKEN] = [envelope(data=pair_data(1, user_type=user_type))]
    with pytest.raises(TokenError, match=f"user type {user_type!r}, not of a seller"):
        await authorize_in_file("code-1", shop.settings(tmp_path).tiktok_shop, session)
    assert not (tmp_path / "tokens.json").exists()
    assert not shop.requests_for(SHOPS)


async def test_a_bad_code_is_a_clear_error(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """36004004: one request; the message has advice, and neither code nor secret."""
    shop.answers[GET_TOKEN] = [envelope(36004004, "code hush-code is bad for hush-app")]
    with pytest.raises(
        TokenError,
        match=whole(
            "http://127.0.0.1:<any>/api/v2/token/get: TikTok Shop refused: the "
            "authorization code is wrong, too old or used up (code 36004004, message 'code "
            "*** is bad for ***', request_id req-7): let the seller authorize the app "
            "again, and use the new code immediately and only once"
        ),
    ) as caught:
        await authorize_in_file("hush-code", shop.settings(tmp_path).tiktok_shop, session)
    assert "hush" not in str(caught.value)
    assert len(shop.requests) == 1


async def test_an_old_pair_stays_until_the_new_one_is_stored(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A failed authorization changes nothing; a success replaces a damaged file."""
    settings = shop.settings(tmp_path).tiktok_shop
    path = tmp_path / "tokens.json"
    path.touch(mode=0o600)
    path.write_text("damaged")
    shop.answers[GET_TOKEN] = [raw_answer(b"", status=500)]
    with pytest.raises(SourceError):
        await authorize_in_file("code-1", settings, session)
    assert path.read_text() == "damaged"

    shop.answers[GET_TOKEN] = [envelope(data=pair_data(1))]
    await authorize_in_file("code-1", settings, session)
    assert await FileTokenStore(path).load()


async def test_shops_that_cannot_be_listed_do_not_hide_the_success(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The code is used up, so the message starts with what was done."""
    shop.answers[SHOPS] = [envelope(105005, "no scope")]
    with pytest.raises(
        SourceError,
        match=whole(
            "the tokens are stored in <any>/tokens.json, but the shops cannot be listed: "
            "http://127.0.0.1:<any>/authorization/202309/shops: TikTok Shop refused: scope "
            "missing (code 105005, message 'no scope', request_id req-7): enable the scope "
            "of this request for the app in TikTok Shop's Partner Center, then let the "
            "seller authorize the app again and run `category-publisher authorize`"
        ),
    ):
        await authorize_in_file("code-1", shop.settings(tmp_path).tiktok_shop, session)
    assert await FileTokenStore(tmp_path / "tokens.json").load()


@pytest.mark.parametrize("data", [None, [], {}, {"shops": None}, {"shops": []}, {"shops": [17]}])
async def test_an_unknown_list_of_shops_is_no_failure(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, data: Any
) -> None:
    """A missing field is empty."""
    shop.answers[SHOPS] = [envelope(data=data)]
    found = await authorize_in_file("code-1", shop.settings(tmp_path).tiktok_shop, session)
    assert not any(each.cipher for each in found.shops)


@pytest.mark.contract("7")
@pytest.mark.parametrize("owner", ["access_token_file", "access_token_command"])
async def test_tokens_of_another_owner_are_not_authorized_here(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, owner: str
) -> None:
    """Stored tokens would never be used, so the code is not used up."""
    other: dict[str, Any] = {"access_token": None, owner: "/x"}
    settings = shop.settings(tmp_path, **other).tiktok_shop
    with pytest.raises(ConfigError, match=f"{owner} is set"):
        await authorize_in_file("code-1", settings, session)
    assert not shop.requests
