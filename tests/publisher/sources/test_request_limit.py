"""Catalogs of one host and app share a limit of requests, and delay no others."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from plumbing.config.settings import Settings
from publisher.sources.factory import SourceFactory
from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    FakeShop,
    envelope,
    raw_answer,
)
from tests.publisher.sources.open_sources import catalogs_of, source_factory
from tests.support.waiting import PATIENCE, eventually


class BlockingAnswer:
    """Answers when `may_answer` is set; counts the requests that wait meanwhile."""

    def __init__(self) -> None:
        self.waiting = self.most = 0
        self.may_answer = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer with one category."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.may_answer.wait()
        self.waiting -= 1
        return await envelope(data=GOOD_DATA)(request)

    async def reached(self, number: int) -> None:
        """Wait until `number` requests wait."""

        async def is_reached() -> bool:
            return self.waiting >= number

        await eventually(is_reached)


@contextlib.contextmanager
def fetching(sources: SourceFactory, settings: Settings, names: list[str]) -> Iterator[list[Any]]:
    """Fetch from the catalogs `names` at the same time; yield the tasks."""
    tasks = [asyncio.create_task(sources.open(name, settings).fetch()) for name in names]
    yield tasks
    for task in tasks:
        task.cancel()


async def test_one_app_has_a_limit_of_requests_at_once(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """However many catalogs it has; all get their answer."""
    answer = BlockingAnswer()
    shop.answers[CATEGORIES] = [answer]
    settings, names = catalogs_of(shop, tmp_path, 12)
    with fetching(source_factory(session, at_once=3), settings, names) as tasks:
        await answer.reached(3)
        answer.may_answer.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)
    assert answer.most == 3
    assert len(shop.requests_for(CATEGORIES)) == 12


async def test_newer_settings_share_the_limit(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Sources that a reload opens share the old limit, not a new `polls_at_once`."""
    answer = BlockingAnswer()
    shop.answers[CATEGORIES] = [answer]
    old, names = catalogs_of(shop, tmp_path, 4)
    sources = source_factory(session, at_once=3)
    new = old.model_copy(update={"polls_at_once": 9})
    with fetching(sources, old, names) as tasks, fetching(sources, new, names) as more:
        await answer.reached(3)
        answer.may_answer.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks, *more)
    assert answer.most == 3


async def test_another_app_and_another_host_have_a_limit_of_their_own(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A host that does not answer delays only its own catalogs; so does an app."""
    answer = BlockingAnswer()
    shop.answers[CATEGORIES] = [answer]
    shop.answers["/tree.json"] = [answer]
    stuck, names = catalogs_of(shop, tmp_path, 4)
    sources = source_factory(session, at_once=3)
    with fetching(sources, stuck, names):
        await answer.reached(3)
        other_app = stuck.model_copy(
            update={"tiktok_shop": stuck.tiktok_shop.model_copy(update={"app_key": "key-2"})}
        )
        with fetching(sources, other_app, names):
            await answer.reached(6)
            async with FakeShop() as healthy:
                settings, others = catalogs_of(healthy, tmp_path, 4)
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(*(sources.open(n, settings).fetch() for n in others))
        assert answer.most == 6


async def test_a_catalog_that_backs_off_holds_no_slot(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """With a limit of one, a catalog waiting for `Retry-After` delays no other."""
    arrived: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        arrived.append(request.query["locale"])
        if arrived == ["xx-1"]:
            return await raw_answer(b"", status=429, headers={"Retry-After": "1"})(request)
        return await envelope(data=GOOD_DATA)(request)

    shop.answers[CATEGORIES] = [answer]
    settings, _ = catalogs_of(shop, tmp_path, 1, locale="xx-1")
    catalog = settings.catalogs["c0"]
    second = catalog.model_copy(update={"locale": "xx-2"})
    settings = settings.model_copy(update={"catalogs": {"c0": catalog, "c1": second}})
    with fetching(source_factory(session, at_once=1), settings, ["c0", "c1"]) as tasks:
        await asyncio.gather(*tasks)
    assert arrived == ["xx-1", "xx-2", "xx-1"]


async def test_the_source_http_has_a_limit_per_host(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """Although it has no app."""
    answer = BlockingAnswer()
    shop.answers["/tree.json"] = [answer]
    catalog = {"source": "http", "url": f"{shop.url}/tree.json"}
    names = [f"c{index}" for index in range(5)]
    settings = Settings.model_validate({"catalogs": dict.fromkeys(names, catalog)})
    with fetching(source_factory(session, at_once=2), settings, names) as tasks:
        await answer.reached(2)
        answer.may_answer.set()
        await asyncio.gather(*tasks)
    assert answer.most == 2
