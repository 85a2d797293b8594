"""The TikTok Shop client as a catalog's source: what it sends, and what each refusal makes of it."""

import asyncio
import gzip
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stamina
from aiohttp import web

from publisher.errors import BadSnapshot, SourceError, TokenError, Transient
from publisher.sources import Answer
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
from tests.publisher.sources.open_sources import open_source

SECRETS = ("hush-app", "access-0", "refresh-0", "access-1", "refresh-1")


async def fetch(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    folder: Path,
    catalog: dict[str, Any] | None = None,
) -> Answer:
    return await open_source(session, shop.settings(folder, catalog)).fetch()


async def refusal(shop: FakeShop, session: aiohttp.ClientSession, folder: Path) -> SourceError:
    """Fetch, and return the error, which must not tell a secret."""
    with pytest.raises(SourceError) as caught:
        await fetch(shop, session, folder)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


async def test_a_request_is_signed_and_carries_what_is_set(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Token in the header alone, decoded values signed, every setting sent under its name."""
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
    assert abs(int(asked.query["timestamp"]) - time.time()) < 10
    assert asked.headers["x-tts-access-token"] == "access-0"
    assert asked.headers["Content-Type"] == "application/json"
    assert "access-0" not in asked.query.values()
    assert answer.bare_list is False
    assert b'"local_name"' in answer.body


async def test_what_is_not_set_is_not_sent(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """No empty parameter goes out."""
    await fetch(shop, session, tmp_path)
    assert set(shop.requests[0].query) == {"app_key", "timestamp", "sign"}


@pytest.mark.parametrize("prohibited", [True, False])
async def test_booleans_are_words(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, *, prohibited: bool
) -> None:
    """include_prohibited_categories is `true` or `false`."""
    await fetch(shop, session, tmp_path, {"include_prohibited_categories": prohibited})
    sent = shop.requests[0].query["include_prohibited_categories"]
    assert sent == ("true" if prohibited else "false")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (106001, "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET"),
        (106013, "set shop_cipher in [catalogs.us]; `category-publisher authorize` lists"),
        (101000, "check shop_cipher in [catalogs.us]; `category-publisher authorize` lists"),
        (105005, "scope"),
        (36009033, "IP allow list"),
        (36009043, "the shop is inactive"),
        (36009044, "the seller is inactive"),
        (12052217, 'set category_version = "v2" in [catalogs.us]'),
        (36009014, "install a newer category-publisher"),
        (99999999, "an error that is not in our list"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403])
async def test_what_someone_has_to_fix_is_asked_once(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    code: int,
    says: str,
    status: int,
) -> None:
    """At any HTTP status: one request, and a message with the advice, code and request_id."""
    shop.answers[CATEGORIES] = [envelope(code, "Upstream's words.", status=status)]
    error = await refusal(shop, session, tmp_path)
    assert says in str(error)
    assert f'code {code}, message "Upstream\'s words.", request_id req-7' in str(error)
    assert not isinstance(error, Transient)
    assert error.not_before == 0
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        envelope(36009003, "Internal error", status=200),
        envelope(36009003, "Internal error", status=500),
        envelope(36009007, "Timeout", status=504),
        envelope(36009002, "Too many requests", status=200),
        envelope(36009002, "Too many requests", status=429),
        envelope(77, "never heard of", status=503),
        envelope(77, "never heard of", status=429),
        envelope(0, status=500),
        raw_answer(b"<html>Bad gateway</html>", status=502),
        raw_answer(b"slow down", status=429),
        raw_answer(b'{"code":0,"data":{"categories":['),
        raw_answer(
            gzip.compress(b'{"code":0,"data":{}}')[:-12], headers={"Content-Encoding": "gzip"}
        ),
    ],
)
async def test_what_may_pass_is_tried_again(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, trouble: Any
) -> None:
    """Two failures are bridged within the poll; five end it, with what happened."""
    shop.answers[CATEGORIES] = [trouble, trouble, envelope(data=GOOD_DATA)]
    assert (await fetch(shop, session, tmp_path)).body
    assert len(shop.requests) == 3

    shop.answers[CATEGORIES] = [trouble]
    shop.requests.clear()
    error = await refusal(shop, session, tmp_path)
    assert isinstance(error, Transient)
    assert len(shop.requests) == 5


@pytest.mark.parametrize("status", [200, 429])
async def test_retry_after_in_seconds_is_waited_for(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, status: int
) -> None:
    """A wait that fits into the poll's patience is honoured, in real time."""
    limited = envelope(36009002, "Too many", status=status, headers={"Retry-After": "2"})
    shop.answers[CATEGORIES] = [limited, envelope(data=GOOD_DATA)]
    with stamina.set_testing(False):
        await fetch(shop, session, tmp_path)
    first, second = shop.requests
    assert 2.0 <= second.at - first.at < 4.0


@pytest.mark.parametrize("ahead", [0, -7200])
async def test_a_long_retry_after_ends_the_poll(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, ahead: int
) -> None:
    """It is told in not_before; a date counts from the sender's clock, whatever ours says."""
    there = time.time() + ahead
    headers = {"Retry-After": formatdate(there + 900, usegmt=True)}
    headers["Date"] = formatdate(there, usegmt=True)
    shop.answers[CATEGORIES] = [raw_answer(b"", status=429, headers=headers)]
    error = await refusal(shop, session, tmp_path)
    assert error.not_before == pytest.approx(900, abs=2)
    assert "asks to wait 900 s" in str(error)
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "value", ["0", "-5", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 99 Foo 10000 99:00"]
)
async def test_a_meaningless_retry_after_means_back_off(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, value: str
) -> None:
    """What says nothing of the future is as good as no header."""
    limited = raw_answer(b"", status=429, headers={"Retry-After": value})
    shop.answers[CATEGORIES] = [limited, envelope(data=GOOD_DATA)]
    assert (await fetch(shop, session, tmp_path)).body


async def test_an_absurd_retry_after_is_capped(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A catalog does not stand still for longer than a day because of one header."""
    shop.answers[CATEGORIES] = [raw_answer(b"", status=429, headers={"Retry-After": "9" * 400})]
    assert (await refusal(shop, session, tmp_path)).not_before == 24 * 3600


async def test_the_hourly_limit_waits_for_the_next_hour(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """36009037: one request; not_before counts to the full hour of TikTok Shop's clock."""
    headers = {"Date": "Mon, 23 Nov 2026 09:40:00 GMT"}
    shop.answers[CATEGORIES] = [envelope(36009037, "hourly limit", headers=headers)]
    assert (await refusal(shop, session, tmp_path)).not_before == 20 * 60
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("Invalid parameter: timestamp, check sign", "clock is 400 s ahead of TikTok Shop's"),
        ("The sign is wrong", "APP_SECRET"),
        ("Invalid `app_key` query parameter", "APP_SECRET is the secret of the app key"),
        ("Wrong design of locale", "the message says why"),
    ],
)
async def test_36009004_is_what_its_message_says(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, message: str, says: str
) -> None:
    """Timestamp before sign before the message itself; a wrong clock is measured."""
    headers = {"Date": formatdate(1_800_000_000, usegmt=True)}
    shop.answers[CATEGORIES] = [envelope(36009004, message, status=400, headers=headers)]
    source = open_source(session, shop.settings(tmp_path), clock=lambda: 1_800_000_400)
    with pytest.raises(SourceError, match=says) as caught:
        await source.fetch()
    assert repr(message) in str(caught.value)
    assert len(shop.requests) == 1


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
    """One refresh, one more request with the new token; refused again, it is a TokenError."""
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


async def test_a_strangers_words_are_harmless(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Control characters are escaped, secrets hidden, long texts cut."""
    evil = "\x1b[31mtoken access-0 of hush-app\r\n\u202e" + "x" * 500
    shop.answers[CATEGORIES] = [envelope(105005, evil)]
    text = str(await refusal(shop, session, tmp_path))
    assert text.isprintable()
    assert "token *** of ***" in text
    assert "x" * 100 in text
    assert "x" * 200 not in text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, status: int
) -> None:
    """A token must not go along to another host."""
    shop.answers["/elsewhere"] = [envelope(data=GOOD_DATA)]
    to = {"Location": f"{shop.url}/elsewhere"}
    shop.answers[CATEGORIES] = [raw_answer(b"", status=status, headers=to)]
    assert "redirect" in str(await refusal(shop, session, tmp_path))
    assert len(shop.requests) == 1


async def test_a_strange_4xx_is_not_tried_again(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Without an envelope the HTTP status decides, and place and status are told."""
    shop.answers[CATEGORIES] = [raw_answer(b"<html>", status=404)]
    error = await refusal(shop, session, tmp_path)
    assert str(error).startswith(f"{shop.url}{CATEGORIES}: HTTP 404")
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[]", b'{"data":{},"code":0}', b'{"code":"0"}', b'{"code":0, "x":']
)
async def test_a_success_is_handed_on_unread(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, body: bytes
) -> None:
    """What a 200 without an error's code says is the snapshot reader's business."""
    shop.answers[CATEGORIES] = [raw_answer(body)]
    if body.endswith(b":"):
        assert "is cut off" in str(await refusal(shop, session, tmp_path))
    else:
        assert (await fetch(shop, session, tmp_path)).body == body


async def test_an_error_is_found_wherever_its_code_stands(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The order of the envelope's keys is not documented."""
    body = b'{"data":null,"message":"no cipher","request_id":"r","code":106013}'
    shop.answers[CATEGORIES] = [raw_answer(body)]
    assert "shop cipher missing" in str(await refusal(shop, session, tmp_path))


async def test_gzip_is_asked_for_and_read(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The answer may be compressed, and nothing but gzip is offered."""
    body = b'{"code":0,"data":{"categories":[]}}'
    shop.answers[CATEGORIES] = [
        raw_answer(gzip.compress(body), headers={"Content-Encoding": "gzip"}),
    ]
    assert (await fetch(shop, session, tmp_path)).body == body
    assert shop.requests[0].headers["Accept-Encoding"] == "gzip"


async def test_the_configured_limits_hold(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """max_body_bytes refuses the whole answer, and names itself."""
    with pytest.raises(BadSnapshot, match=r"more than 20 bytes.*max_body_bytes"):
        await fetch(shop, session, tmp_path, {"max_body_bytes": 20})


async def test_request_timeout_is_for_the_whole_request(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """An answer that drips longer than request_timeout is given up, and named."""

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
