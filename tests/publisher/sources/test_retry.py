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
    """What says nothing of the future is as good as no header."""
    limited = raw_answer(b"", status=429, headers={"Retry-After": value})
    shop.answers[CATEGORIES] = [limited, envelope(data=GOOD_DATA)]
    assert (await fetch(shop, session, tmp_path)).body


async def test_an_absurd_retry_after_is_capped(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A catalog does not stand still for longer than a day because of one header."""
    shop.answers[CATEGORIES] = [raw_answer(b"", status=429, headers={"Retry-After": "9" * 400})]
    assert (await fetch_error(shop, session, tmp_path)).not_before == 24 * 3600
