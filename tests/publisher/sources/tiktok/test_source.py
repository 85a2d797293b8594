"""Requests of the source `tiktok_shop`, and the answers that it accepts."""

import asyncio
import gzip
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stamina
from aiohttp import web

from publisher.errors import BadSnapshot, TokenError, Transient
from publisher.sources.tiktok.signature import sign
from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    REFRESH,
    FakeShop,
    envelope,
    pair_data,
    raw_answer,
)
from tests.publisher.sources.open_sources import fetch, fetch_error
from tests.support.messages import whole
from tests.support.waiting import PATIENCE


async def test_a_request_is_signed_and_has_all_settings(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The token is only in the header; decoded values are signed; settings are sent."""
    answer = await fetch(
        shop,
        session,
        tmp_path,
        {
            "shop_cipher": "GCP_a+b/c= ü",
            "locale": "en-US",
            "category_version": "v2",
            "listing_platform": "TOKOPEDIA",
            "include_prohibited_categories": False,
        },
    )
    [asked] = shop.requests
    assert asked.query["shop_cipher"] == "GCP_a+b/c= ü"
    assert asked.query["include_prohibited_categories"] == "false"
    assert asked.query["sign"] == sign("hush-app", CATEGORIES, asked.query)
    assert abs(int(asked.query["timestamp"]) - time.time()) < PATIENCE
    assert asked.headers["x-tts-access-token"] == "access-0"
    assert asked.headers["Content-Type"] == "application/json"
    assert "access-0" not in asked.query.values()
    assert answer.bare_list is False
    assert b'"local_name"' in answer.body


async def test_an_unset_parameter_is_not_sent(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """TikTok Shop refuses empty ones."""
    await fetch(shop, session, tmp_path)
    assert set(shop.requests[0].query) == {"app_key", "timestamp", "sign"}


@pytest.mark.parametrize("prohibited", [True, False])
async def test_booleans_are_sent_as_text(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, *, prohibited: bool
) -> None:
    """include_prohibited_categories is `true` or `false`."""
    await fetch(shop, session, tmp_path, {"include_prohibited_categories": prohibited})
    sent = shop.requests[0].query["include_prohibited_categories"]
    assert sent == ("true" if prohibited else "false")


@pytest.mark.parametrize(
    "expired",
    [
        envelope(105002, "Expired credentials", status=401),
        envelope(105002, "Expired credentials", status=200),
        envelope(36009004, "Invalid x-tts-access-token, check timestamp and sign", status=400),
    ],
)
async def test_a_refused_token_is_renewed_once(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, expired: Any
) -> None:
    """One refresh and one more request; a second refusal is a TokenError."""
    shop.answers[CATEGORIES] = [expired, envelope(data=GOOD_DATA)]
    shop.answers[REFRESH] = [envelope(data=pair_data(1))]
    assert (await fetch(shop, session, tmp_path)).body
    assert [asked.headers["x-tts-access-token"] for asked in shop.requests_for(CATEGORIES)] == [
        "access-0",
        "access-1",
    ]
    [refresh] = shop.requests_for(REFRESH)
    assert refresh.query == {
        "app_key": "key-1",
        "app_secret": "hush-app",
        "refresh_token": "refresh-0",
        "grant_type": "refresh_token",
    }

    shop.answers[CATEGORIES] = [expired]
    shop.answers[REFRESH] = [envelope(data=pair_data(2))]
    with pytest.raises(TokenError, match="a renewed access token is refused too"):
        await fetch(shop, session, tmp_path)
    assert len(shop.requests_for(REFRESH)) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, status: int
) -> None:
    """The token must not go to another host."""
    shop.answers["/elsewhere"] = [envelope(data=GOOD_DATA)]
    to = {"Location": f"{shop.url}/elsewhere"}
    shop.answers[CATEGORIES] = [raw_answer(b"", status=status, headers=to)]
    assert "redirect" in str(await fetch_error(shop, session, tmp_path))
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[]", b'{"data":{},"code":0}', b'{"code":"0"}', b'{"code":0, "x":']
)
async def test_a_success_is_returned_unchecked(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, body: bytes
) -> None:
    """The content of a 200 without an error code is checked in `core`."""
    shop.answers[CATEGORIES] = [raw_answer(body)]
    if body.endswith(b":"):
        assert "is cut off" in str(await fetch_error(shop, session, tmp_path))
    else:
        assert (await fetch(shop, session, tmp_path)).body == body


async def test_gzip_is_requested_and_read(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It is the only encoding that the request offers."""
    body = b'{"code":0,"data":{"categories":[]}}'
    shop.answers[CATEGORIES] = [
        raw_answer(gzip.compress(body), headers={"Content-Encoding": "gzip"}),
    ]
    assert (await fetch(shop, session, tmp_path)).body == body
    assert shop.requests[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.contract("6")
async def test_an_answer_over_the_limit_is_refused(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The message names `max_body_bytes`."""
    with pytest.raises(
        BadSnapshot,
        match=whole(
            "http://127.0.0.1:<any>/product/202309/categories: the answer has more than 20 "
            "bytes: if that is right, raise max_body_bytes"
        ),
    ):
        await fetch(shop, session, tmp_path, {"max_body_bytes": 20})


async def test_request_timeout_limits_the_whole_request(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It ends an answer that drips for longer, and the message names it."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    shop.answers[CATEGORIES] = [drip]
    settings = {"request_timeout": "100ms"}
    with stamina.set_testing(True, attempts=1), pytest.raises(Transient) as caught:
        await fetch(shop, session, tmp_path, settings)
    assert "no complete answer within 0.1 s (request_timeout)" in str(caught.value)
