"""A fallback shop is asked when the first one cannot answer, and only then."""

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from publisher.errors import SourceError, TokenError
from publisher.sandbox import Fault, Sandbox, SandboxOptions, SandboxShop
from publisher.sources import Source
from publisher.sources.tiktok.stand_ins import answering_shop
from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    REFRESH,
    Answer,
    FakeShop,
    envelope,
    raw_answer,
    settings_at,
)
from tests.publisher.sources.open_sources import open_source
from tests.support.messages import whole

TWO = [{"shop_cipher": "hush-two"}, {"shop_cipher": "hush-three"}]


class Market:
    """Several shops by their cipher: those in `failures` fail, the others answer."""

    def __init__(self, shop: FakeShop) -> None:
        self.failures: dict[str, Any] = {}
        shop.answers[CATEGORIES] = [self]
        self._shop = shop

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer for the shop in the request."""
        answer: Answer = self.failures.get(request.query["shop_cipher"], envelope(data=GOOD_DATA))
        return await answer(request)

    def take_requests(self) -> list[str]:
        """Return the ciphers of the requests since the last call."""
        found = [each.query["shop_cipher"] for each in self._shop.requests_for(CATEGORIES)]
        self._shop.requests.clear()
        return found


@pytest.fixture
def market(shop: FakeShop) -> Market:
    return Market(shop)


@pytest.fixture
def source(shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path) -> Source:
    catalog = {"shop_cipher": "hush-one", "stand_ins": TWO}
    return open_source(session, shop.settings(tmp_path, catalog))


async def wrong_cipher(request: web.Request) -> web.StreamResponse:
    cipher = request.query["shop_cipher"]
    return await envelope(101000, f"`shop_cipher` {cipher} is invalid", status=401)(request)


CLOSED = [
    envelope(36009043, "The shop is inactive", status=403),
    envelope(36009044, "The seller is inactive", status=403),
    wrong_cipher,
]


@pytest.mark.contract("2")
@pytest.mark.parametrize("failure", CLOSED)
async def test_the_next_shop_is_asked_in_the_same_poll(
    market: Market,
    source: Source,
    log_lines: list[MutableMapping[str, Any]],
    failure: Any,
) -> None:
    """Each fetch starts with the first shop; each switch is logged once."""
    market.failures["hush-one"] = failure
    for _ in range(2):
        await source.fetch()
        assert market.take_requests() == ["hush-one", "hush-two"]
        assert answering_shop(source) == 1
    market.failures["hush-two"] = failure
    await source.fetch()
    assert market.take_requests() == ["hush-one", "hush-two", "hush-three"]
    assert answering_shop(source) == 2
    market.failures.clear()
    for _ in range(2):
        await source.fetch()
        assert market.take_requests() == ["hush-one"]
        assert answering_shop(source) == 0
    assert [(line["event"], line.get("stand_in")) for line in log_lines] == [
        ("fallback shop answers", 1),
        ("fallback shop answers", 2),
        ("first shop answers again", None),
    ]
    assert "hush" not in str(log_lines)


@pytest.mark.parametrize(
    "failure",
    [
        raw_answer(b"", status=503),
        envelope(36009002, "Too many requests", status=429),
        envelope(36009003, "Internal error", status=500),
        envelope(36009037, "Hourly limit"),
        envelope(105005, "No scope", status=403),
        envelope(36009033, "Address", status=403),
        envelope(106001, "Signature", status=401),
        envelope(12052217, "Needs v2"),
        raw_answer(b"<html>", status=404),
    ],
)
async def test_an_error_that_any_shop_would_have_does_not_switch(
    market: Market, source: Source, failure: Any
) -> None:
    """The poll fails as it would without fallback shops."""
    market.failures["hush-one"] = failure
    with pytest.raises(SourceError):
        await source.fetch()
    assert set(market.take_requests()) == {"hush-one"}


@pytest.mark.parametrize(
    "failure", [envelope(105005, "No scope", status=403), raw_answer(b"<html>", status=404)]
)
async def test_a_failing_fallback_shop_is_skipped(
    market: Market, source: Source, failure: Any
) -> None:
    """Any other error asks the next; if none answers, the message has each reason."""
    market.failures |= {"hush-one": CLOSED[0], "hush-two": failure}
    await source.fetch()
    assert answering_shop(source) == 2
    market.failures["hush-three"] = failure
    with pytest.raises(
        SourceError, match=r"first shop: .*36009043.*; fallback shop 1: .*; fallback shop 2"
    ):
        await source.fetch()


async def test_a_transient_error_of_a_fallback_shop_ends_the_poll(
    market: Market, source: Source
) -> None:
    """With each reason and its `not_before`; the next shop is not asked."""
    market.failures |= {"hush-one": CLOSED[0], "hush-two": envelope(36009037, "Hourly limit")}
    with pytest.raises(
        SourceError,
        match=whole(
            "first shop: http://127.0.0.1:<any>/product/202309/categories: TikTok Shop "
            "refused: the shop is inactive (code 36009043, message 'The shop is inactive', "
            "request_id req-7): reactivate it at TikTok Shop; fallback shop 1: "
            "http://127.0.0.1:<any>/product/202309/categories: TikTok Shop refused: hourly "
            "limit of a development shop reached (code 36009037, message 'Hourly limit', "
            "request_id req-7): the app asks too often; a longer poll_every helps"
        ),
    ) as caught:
        await source.fetch()
    assert caught.value.not_before > 0
    assert market.take_requests() == ["hush-one", "hush-two"]


@pytest.mark.parametrize(
    ("catalog", "stand_in", "commands"),
    [
        ({}, {}, ["authorize", "authorize"]),
        ({"token_file": "us.json"}, {}, ["authorize --catalog us", "authorize --catalog us"]),
        (
            {},
            {"token_file": "two.json"},
            ["authorize", "authorize --catalog us --stand-in 1"],
        ),
    ],
)
async def test_the_advice_names_the_command_for_the_tokens(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    catalog: dict[str, str],
    stand_in: dict[str, str],
    commands: list[str],
) -> None:
    """With `--catalog` and `--stand-in` if the tokens belong to them alone."""
    catalog, stand_in = (
        {key: str(tmp_path / value) for key, value in each.items()} for each in (catalog, stand_in)
    )
    section = {**catalog, "shop_cipher": "one", "stand_ins": [{"shop_cipher": "two", **stand_in}]}
    shop.answers[CATEGORIES] = [envelope(101000, "wrong cipher", status=401)]
    settings = shop.settings(tmp_path, section)
    with pytest.raises(SourceError) as caught:
        await open_source(session, settings).fetch()
    assert re.findall(r"`category-publisher (.+?)` lists", str(caught.value)) == commands

    none = shop.settings(tmp_path, section, access_token=None, refresh_token=None)
    with pytest.raises(SourceError) as caught:
        await open_source(session, none).fetch()
    assert re.findall(r"run `category-publisher (.+?)`", str(caught.value)) == commands


async def test_if_no_shop_answers_each_reason_is_in_the_message(
    market: Market, source: Source
) -> None:
    """With the shop's number, without its cipher."""
    for cipher, failure in zip(("hush-one", "hush-two", "hush-three"), CLOSED, strict=True):
        market.failures[cipher] = failure
    with pytest.raises(SourceError) as caught:
        await source.fetch()
    text = str(caught.value)
    assert "no shop of this market answers: first shop: " in text
    assert "; fallback shop 1: " in text
    assert "; fallback shop 2: " in text
    assert "36009043" in text
    assert "entry 2 of stand_ins in [catalogs.us]" in text
    assert "hush" not in text


@pytest.mark.parametrize("code", [36004001, 36004005])
async def test_an_ended_authorization_switches_to_another_sellers_tokens(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, code: int
) -> None:
    """The fallback shop has an app and tokens of its own."""

    async def check_token(request: web.Request) -> web.StreamResponse:
        is_valid = request.headers["x-tts-access-token"] == "access-9"
        expired = envelope(105002, "Expired", status=401)
        return await (envelope(data=GOOD_DATA) if is_valid else expired)(request)

    shop.answers[CATEGORIES] = [check_token]
    shop.answers[REFRESH] = [envelope(code, "ended")]
    own = {"access_token": "access-9", "token_file": tmp_path / "nine.json", "app_key": "key-9"}
    catalog = {"shop_cipher": "one", "stand_ins": [{"shop_cipher": "two", **own}]}
    source = open_source(session, shop.settings(tmp_path, catalog))
    await source.fetch()
    assert answering_shop(source) == 1
    assert shop.requests[-1].query["app_key"] == "key-9"


async def test_an_unusable_token_file_does_not_switch(
    market: Market, source: Source, tmp_path: Path
) -> None:
    """A token file that others can read has to be repaired, not avoided."""
    (tmp_path / "tokens.json").touch(mode=0o644)
    with pytest.raises(
        TokenError,
        match=whole(
            "<any>/tokens.json can be used by others than its owner (mode 0644): run `chmod "
            "600 <any>/tokens.json`"
        ),
    ):
        await source.fetch()
    assert not market.take_requests()


async def test_the_sandbox_has_an_inactive_shop(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The source switches to the fallback shop and back."""
    shops = (SandboxShop(cipher="one"), SandboxShop(cipher="two"))
    async with Sandbox(SandboxOptions(categories=20, shops=shops)) as sandbox:
        catalog = {
            "category_version": "v2",
            "shop_cipher": "one",
            "stand_ins": [{"shop_cipher": "two"}],
        }
        app = {"app_key": sandbox.options.app_key, "app_secret": sandbox.options.app_secret}
        newest = sandbox.api.tokens.newest
        tokens = {"access_token": newest.access_token, "refresh_token": newest.refresh_token}
        settings = settings_at(sandbox.url, tmp_path, catalog, **app, **tokens)
        source = open_source(session, settings)
        for fault, index in ((None, 0), ("inactive=1", 1), (None, 0), ("inactive=2", 0)):
            sandbox.api.faults = [Fault.parse(fault)] if fault else []
            await source.fetch()
            assert answering_shop(source) == index
        sandbox.api.faults = [Fault.parse("code=36009044")]
        with pytest.raises(
            SourceError,
            match=whole(
                "no shop of this market answers: first shop: "
                "http://127.0.0.1:<any>/product/202309/categories: TikTok Shop refused: the "
                "seller is inactive (code 36009044, message 'Access denied. The seller is "
                "inactive.', request_id <any>): reactivate them at TikTok Shop; fallback shop "
                "1: http://127.0.0.1:<any>/product/202309/categories: TikTok Shop refused: the "
                "seller is inactive (code 36009044, message 'Access denied. The seller is "
                "inactive.', request_id <any>): reactivate them at TikTok Shop"
            ),
        ):
            await source.fetch()
