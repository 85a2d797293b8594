"""What each error of TikTok Shop leads to (TikTok Shop API, Errors)."""

import gzip
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from publisher.errors import SourceError, Transient
from publisher.sources.tiktok.error_codes import (
    AMBIGUOUS,
    ERROR_RULES,
    RULES_BY_MESSAGE,
    RequestContext,
    error_from,
)
from publisher.sources.transport import Reply
from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    FakeShop,
    envelope,
    raw_answer,
)
from tests.publisher.sources.open_sources import fetch, fetch_error, open_source


@pytest.mark.contract("6")
@pytest.mark.parametrize(
    ("code", "advice"),
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
async def test_an_error_to_fix_is_not_retried(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    code: int,
    advice: str,
    status: int,
) -> None:
    """At any HTTP status: one request; the message has advice, code, request_id."""
    shop.answers[CATEGORIES] = [envelope(code, "The shop's text.", status=status)]
    error = await fetch_error(shop, session, tmp_path)
    assert advice in str(error)
    assert f'code {code}, message "The shop\'s text.", request_id req-7' in str(error)
    assert not isinstance(error, Transient)
    assert error.not_before == 0
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "failure",
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
async def test_a_transient_error_is_retried(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, failure: Any
) -> None:
    """After two failures the poll goes on; five end it with the error."""
    shop.answers[CATEGORIES] = [failure, failure, envelope(data=GOOD_DATA)]
    assert (await fetch(shop, session, tmp_path)).body
    assert len(shop.requests) == 3

    shop.answers[CATEGORIES] = [failure]
    shop.requests.clear()
    error = await fetch_error(shop, session, tmp_path)
    assert isinstance(error, Transient)
    assert len(shop.requests) == 5


async def test_the_hourly_limit_waits_for_the_next_hour(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """36009037: one request; `not_before` ends at TikTok Shop's next full hour."""
    headers = {"Date": "Mon, 23 Nov 2026 09:40:00 GMT"}
    shop.answers[CATEGORIES] = [envelope(36009037, "hourly limit", headers=headers)]
    assert (await fetch_error(shop, session, tmp_path)).not_before == 20 * 60
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Invalid parameter: timestamp, check sign", "clock is 400 s ahead of TikTok Shop's"),
        ("The sign is wrong", "APP_SECRET"),
        ("Invalid `app_key` query parameter", "APP_SECRET is the secret of the app key"),
        ("Wrong design of locale", "the message says why"),
    ],
)
async def test_36009004_depends_on_its_message(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, message: str, advice: str
) -> None:
    """A timestamp is found before a signature; a wrong clock is measured."""
    headers = {"Date": formatdate(1_800_000_000, usegmt=True)}
    shop.answers[CATEGORIES] = [envelope(36009004, message, status=400, headers=headers)]
    source = open_source(session, shop.settings(tmp_path), clock=lambda: 1_800_000_400)
    with pytest.raises(SourceError, match=advice) as caught:
        await source.fetch()
    assert repr(message) in str(caught.value)
    assert len(shop.requests) == 1


@pytest.mark.contract("7")
async def test_texts_of_the_shop_are_escaped(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Control characters are escaped, secrets replaced, long texts cut."""
    message = "\x1b[31mtoken access-0 of hush-app\r\n\u202e" + "x" * 500
    shop.answers[CATEGORIES] = [envelope(105005, message)]
    text = str(await fetch_error(shop, session, tmp_path))
    assert text.isprintable()
    assert "token *** of ***" in text
    assert "x" * 100 in text
    assert "x" * 200 not in text


async def test_the_code_is_found_at_any_position(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The order of the envelope's keys is not documented."""
    body = b'{"data":null,"message":"no cipher","request_id":"r","code":106013}'
    shop.answers[CATEGORIES] = [raw_answer(body)]
    assert "shop cipher missing" in str(await fetch_error(shop, session, tmp_path))


@pytest.mark.contract("6")
async def test_4xx_without_an_envelope_is_not_retried(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The HTTP status decides; the message has the location and the status."""
    shop.answers[CATEGORIES] = [raw_answer(b"<html>", status=404)]
    error = await fetch_error(shop, session, tmp_path)
    assert str(error).startswith(f"{shop.url}{CATEGORIES}: HTTP 404")
    assert len(shop.requests) == 1


def test_what_a_user_reads_about_each_error() -> None:
    """The page has each code's kind, meaning and advice, whole."""
    found = [
        f"{key}: {rule.error.__name__}: {rule.meaning}: {rule.advice}"
        for key, rule in [*ERROR_RULES.items(), *RULES_BY_MESSAGE.items()]
    ]
    page = Path(__file__).with_name("error_messages.txt").read_text("utf-8")
    assert found == page.splitlines()


def test_the_whole_message_of_an_error() -> None:
    """It has the place, the meaning, what the shop says, and advice."""
    body = b'{"code":105002,"message":"Expired s3cret.","request_id":"r-1"}'
    context = RequestContext("[catalogs.us]", ["s3cret"], 1_000.0, "c-p authorize --shop x")
    assert str(error_from(reply(body), context)) == (
        "https://shop/x: TikTok Shop refused: the access token has expired (code 105002, "
        "message 'Expired ***.', request_id r-1): run `c-p authorize --shop x`"
    )


@pytest.mark.parametrize(
    ("now", "difference"),
    [(1_000.0, "300 s behind"), (1_600.4, "300 s ahead of"), (1_300.0, "0 s behind")],
)
def test_the_difference_of_the_clocks(now: float, difference: str) -> None:
    """A refused timestamp says how far the two clocks are apart."""
    body = b'{"code":%d,"message":"bad timestamp","request_id":"r-1"}' % AMBIGUOUS
    error = error_from(reply(body, Date=formatdate(1_300)), RequestContext("s", [], now, "a"))
    assert str(error).endswith(
        f": this machine's clock is {difference} TikTok Shop's: set this machine's clock right (NTP)"
    )


def reply(body: bytes, **headers: str) -> Reply:
    """Return a reply of the shop."""
    return Reply("https://shop/x", 200, headers, body)
