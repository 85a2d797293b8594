"""Retries within one poll, and how long `Retry-After` makes it wait."""

import time
from email.utils import formatdate
from pathlib import Path

import aiohttp
import pytest
import stamina

from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    FakeShop,
    envelope,
    raw_answer,
)
from tests.publisher.sources.open_sources import fetch, fetch_error
from tests.support.waiting import patience


@pytest.mark.parametrize("status", [200, 429])
async def test_retry_after_in_seconds_is_waited_for(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, status: int
) -> None:
    """If it fits into the minute that a poll may wait; measured in real time."""
    too_many = envelope(36009002, "Too many", status=status, headers={"Retry-After": "2"})
    shop.answers[CATEGORIES] = [too_many, envelope(data=GOOD_DATA)]
    with stamina.set_testing(False):
        await fetch(shop, session, tmp_path)
    first, second = shop.requests
    assert 2.0 <= second.at - first.at < patience(4)


@pytest.mark.parametrize("ahead", [0, -7200])
async def test_a_long_retry_after_ends_the_poll(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, ahead: int
) -> None:
    """`not_before` has the wait; a date is compared with the server's clock."""
    server_time = time.time() + ahead
    headers = {"Retry-After": formatdate(server_time + 900, usegmt=True)}
    headers["Date"] = formatdate(server_time, usegmt=True)
    shop.answers[CATEGORIES] = [raw_answer(b"", status=429, headers=headers)]
    error = await fetch_error(shop, session, tmp_path)
    assert error.not_before == pytest.approx(900, abs=2)
    assert "asks to wait 900 s" in str(error)
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "value", ["0", "-5", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 99 Foo 10000 99:00"]
)
async def test_a_meaningless_retry_after_means_back_off(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path, value: str
) -> None:
    """A value that is not a time in the future counts as no header."""
    too_many = raw_answer(b"", status=429, headers={"Retry-After": value})
    shop.answers[CATEGORIES] = [too_many, envelope(data=GOOD_DATA)]
    assert (await fetch(shop, session, tmp_path)).body


async def test_an_absurd_retry_after_is_capped(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """One header cannot stop a catalog for longer than a day."""
    shop.answers[CATEGORIES] = [raw_answer(b"", status=429, headers={"Retry-After": "9" * 400})]
    assert (await fetch_error(shop, session, tmp_path)).not_before == 24 * 3600
