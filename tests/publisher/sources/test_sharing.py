"""What the catalogs of one process share: turns and tokens, and that none holds up another."""

import asyncio
import contextlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from plumbing.config.settings import Settings
from publisher.errors import TokenError
from publisher.sources.factory import SourceFactory
from publisher.sources.tiktok.factory import token_expiries
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair
from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    REFRESH,
    FakeShop,
    envelope,
    pair_data,
    raw_answer,
)
from tests.publisher.sources.open_sources import open_source, source_factory


class Queue:
    """Answers only when told to; counts who waits for an answer at once."""

    def __init__(self) -> None:
        self.waiting = self.most = 0
        self.may_answer = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer as a good shop does."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.may_answer.wait()
        self.waiting -= 1
        return await envelope(data=GOOD_DATA)(request)

    async def reached(self, number: int) -> None:
        """Wait until so many wait."""
        async with asyncio.timeout(20):
            while self.waiting < number:
                await asyncio.sleep(0.01)


def many(shop: FakeShop, folder: Path, number: int, **catalog: Any) -> tuple[Settings, list[str]]:
    """Return settings of so many catalogs of one shop, and their names."""
    made = shop.settings(folder, catalog)
    names = [f"c{index}" for index in range(number)]
    catalogs = dict.fromkeys(names, made.catalogs["us"])
    return made.model_copy(update={"catalogs": catalogs}), names


@contextlib.contextmanager
def fetching(sources: SourceFactory, settings: Settings, names: list[str]) -> Iterator[list[Any]]:
    tasks = [asyncio.create_task(sources.open(name, settings).fetch()) for name in names]
    yield tasks
    for task in tasks:
        task.cancel()


async def test_one_app_has_so_many_requests_at_once(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """However many catalogs ask; all get their answer."""
    queue = Queue()
    shop.answers[CATEGORIES] = [queue]
    settings, names = many(shop, tmp_path, 12)
    with fetching(source_factory(session, at_once=3), settings, names) as tasks:
        await queue.reached(3)
        queue.may_answer.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
    assert queue.most == 3
    assert len(shop.requests_for(CATEGORIES)) == 12


async def test_newer_settings_share_the_limit(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """What a reload opens, with another polls_at_once, waits for the turns of what was there."""
    queue = Queue()
    shop.answers[CATEGORIES] = [queue]
    old, names = many(shop, tmp_path, 4)
    sources = source_factory(session, at_once=3)
    new = old.model_copy(update={"polls_at_once": 9})
    with fetching(sources, old, names) as tasks, fetching(sources, new, names) as more:
        await queue.reached(3)
        queue.may_answer.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, *more)
    assert queue.most == 3


async def test_the_end_of_a_due_token_is_told_only_by_who_failed_to_refresh_it(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Whoever has seen it before knows nothing of it: another publisher may have refreshed."""
    file = FileTokenStore(tmp_path / "tokens.json")
    now = 1000.0
    await file.store(TokenPair.from_answer({**pair_data(1), "access_token_expire_in": 2000}, now))
    settings = shop.settings(tmp_path)
    opened = [open_source(session, settings, clock=lambda: now) for _ in range(2)]
    await asyncio.gather(*(source.fetch() for source in opened))
    assert [each.access_token for each in token_expiries(opened)] == [2000, 2000]

    now = 1900.0
    shop.answers[REFRESH] = [raw_answer(b"", status=404)]
    await opened[0].fetch()
    assert {each.access_token for each in token_expiries(opened[:1])} == {2000}
    [unknown] = token_expiries(opened[1:])
    assert unknown.access_token is None
    assert unknown.refresh_token == 2**33


async def test_another_app_and_another_host_have_turns_of_their_own(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A host that answers nobody holds up its own catalogs alone; so does an app."""
    queue = Queue()
    shop.answers[CATEGORIES] = [queue]
    shop.answers["/tree.json"] = [queue]
    stuck, names = many(shop, tmp_path, 4)
    sources = source_factory(session, at_once=3)
    with fetching(sources, stuck, names):
        await queue.reached(3)
        other_app = stuck.model_copy(
            update={"tiktok_shop": stuck.tiktok_shop.model_copy(update={"app_key": "key-2"})}
        )
        with fetching(sources, other_app, names):
            await queue.reached(6)
            async with FakeShop() as healthy:
                settings, others = many(healthy, tmp_path, 4)
                async with asyncio.timeout(20):
                    await asyncio.gather(*(sources.open(n, settings).fetch() for n in others))
        assert queue.most == 6


async def test_who_backs_off_holds_no_turn(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """With one turn and one catalog that is asked to wait, another one goes first."""
    came: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        came.append(request.query["locale"])
        if came == ["xx-1"]:
            return await raw_answer(b"", status=429, headers={"Retry-After": "1"})(request)
        return await envelope(data=GOOD_DATA)(request)

    shop.answers[CATEGORIES] = [answer]
    settings, _ = many(shop, tmp_path, 1, locale="xx-1")
    catalog = settings.catalogs["c0"]
    second = catalog.model_copy(update={"locale": "xx-2"})
    settings = settings.model_copy(update={"catalogs": {"c0": catalog, "c1": second}})
    with fetching(source_factory(session, at_once=1), settings, ["c0", "c1"]) as tasks:
        await asyncio.gather(*tasks)
    assert came == ["xx-1", "xx-2", "xx-1"]


async def test_ten_catalogs_refresh_once(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """One access object serves all; when the tokens end is known from it."""
    expired = envelope(105002, "Expired credentials", status=401)

    async def judge(request: web.Request) -> web.StreamResponse:
        good = request.headers["x-tts-access-token"] == "access-1"
        return await (envelope(data=GOOD_DATA) if good else expired)(request)

    shop.answers[CATEGORIES] = [judge]
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    settings, names = many(shop, tmp_path, 10)
    sources = source_factory(session)
    opened = [sources.open(name, settings) for name in names]
    await asyncio.gather(*(source.fetch() for source in opened))
    assert len(shop.requests_for(REFRESH)) == 1
    [expiry] = token_expiries(opened)
    assert expiry.location == str(tmp_path / "tokens.json")
    assert expiry.access_token
    assert expiry.refresh_token == 2**33
    assert not list(token_expiries([]))


async def test_an_authorization_that_ended_is_asked_about_once(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Not once per catalog: the refusal holds for a minute, or until there is another pair."""
    shop.answers[CATEGORIES] = [envelope(105002, "Expired credentials", status=401)]
    shop.answers[REFRESH] = [envelope(36004005, "no record")]
    settings, names = many(shop, tmp_path, 5)
    sources = source_factory(session)
    opened = [sources.open(name, settings) for name in names]
    for source in opened:
        with contextlib.suppress(TokenError):
            await source.fetch()
    assert len(shop.requests_for(REFRESH)) == 1

    new = TokenPair(access_token="access-5", refresh_token="refresh-5")
    await FileTokenStore(tmp_path / "tokens.json").store(new)
    with contextlib.suppress(TokenError):
        await opened[0].fetch()
    assert len(shop.requests_for(REFRESH)) == 2


async def test_a_late_refresh_is_told_once(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    log_lines: list[MutableMapping[str, Any]],
) -> None:
    """Whichever catalogs find it; the polls go on."""
    shop.answers[REFRESH] = [raw_answer(b"", status=503)]
    await FileTokenStore(tmp_path / "tokens.json").store(
        TokenPair.from_answer(pair_data(1, life=100), 0.0)
    )
    settings, names = many(shop, tmp_path, 5)
    sources = source_factory(session)
    await asyncio.gather(*(sources.open(name, settings).fetch() for name in names))
    assert len(log_lines) == 1


async def test_a_source_without_an_app_has_turns_too(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """Catalogs of the source http wait for those of the same host."""
    queue = Queue()
    shop.answers["/tree.json"] = [queue]
    catalog = {"source": "http", "url": f"{shop.url}/tree.json"}
    names = [f"c{index}" for index in range(5)]
    settings = Settings.model_validate({"catalogs": dict.fromkeys(names, catalog)})
    with fetching(source_factory(session, at_once=2), settings, names) as tasks:
        await queue.reached(2)
        queue.may_answer.set()
        await asyncio.gather(*tasks)
    assert queue.most == 2
