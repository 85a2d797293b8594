"""The cache saves reads, and is never wrong (contract, 5.3)."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
import redis.asyncio

from plumbing.redis.server import Client, Server
from publisher.core import digest
from publisher.errors import RaceLost
from publisher.polling import cache as caches
from publisher.polling.cache import CatalogCache, StateCache
from publisher.polling.poll import poll_once
from publisher.state.store import State, Store
from tests.support.cancelling import cancelled_at_each_await
from tests.support.catalogs import make_catalog
from tests.support.paths import ROOT
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide
from tests.support.valkey import Valkey, fake_client
from tests.support.waiting import eventually

SMALL = tree(("1", "0"), ("2", "1"), ("3", "1"))
KEY = "catalog:{us}:"


class CountingStore(Store):
    """Counts how often the state is loaded; `meanwhile` runs before each load."""

    loads = 0
    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def load(self) -> State:
        """Load, and count that."""
        self.loads += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        return await super().load()


class Polling:
    """A catalog that is polled again and again."""

    def __init__(self, client: Client, cache: StateCache | None, name: str = "us") -> None:
        self.store = CountingStore(client, name)
        self.source = ScriptedSource()
        self.source.set_tree(SMALL)
        self.catalog = make_catalog(self.store, self.source, state_cache=cache)

    async def loads(self) -> int:
        """Poll, and return how often the state was loaded for that."""
        before = self.store.loads
        await poll_once(self.catalog)
        return self.store.loads - before

    async def read_state(self) -> State:
        """Read the state as a poll does."""
        return await self.catalog.cache.read_state(await self.store.read_position())

    async def fill_cache(self) -> None:
        """Poll until the state is cached."""
        while await self.loads():
            pass


@pytest.fixture
async def polling(client: redis.asyncio.Redis) -> AsyncIterator[Polling]:
    """Give a catalog whose state is cached."""
    async with aclosing(StateCache()) as cache:
        found = Polling(client, cache)
        await found.fill_cache()
        yield found


async def watched_keys(client: redis.asyncio.Redis) -> int:
    """Return how many keys the server watches for all connections."""
    return sum(int(one["watch"]) for one in await client.client_list())


@pytest.mark.contract("5.3")
async def test_a_state_is_loaded_once_after_a_commit(client: redis.asyncio.Redis) -> None:
    """Then no more, as long as nobody touches the keys."""
    async with aclosing(StateCache()) as cache:
        polling = Polling(client, cache)
        assert [await polling.loads() for _ in range(4)] == [1, 1, 0, 0]
        polling.source.set_tree(tree(("1", "0"), ("2", "1")))
        assert [await polling.loads() for _ in range(3)] == [0, 1, 0]


async def test_a_single_poll_has_no_cache(client: redis.asyncio.Redis) -> None:
    """It loads the state, and watches nothing."""
    polling = Polling(client, None)
    assert [await polling.loads() for _ in range(3)] == [1, 1, 1]


@pytest.mark.contract("5.2")
@pytest.mark.contract("5.3")
@pytest.mark.parametrize(
    "arguments",
    [
        ("HSET", f"{KEY}categories", "2", "{}"),
        ("HDEL", f"{KEY}categories", "2"),
        ("DEL", f"{KEY}categories"),
        ("DEL", f"{KEY}meta"),
        ("HSET", f"{KEY}meta", "digest", "0123456789abcdef"),
        ("HSET", f"{KEY}meta", "count", "7"),
        ("FLUSHALL",),
        ("RENAME", f"{KEY}categories", f"{KEY}moved"),
    ],
    ids=" ".join,
)
async def test_a_state_that_was_touched_is_loaded(
    polling: Polling, client: redis.asyncio.Redis, arguments: tuple[str, ...]
) -> None:
    """The next poll loads all of it, and repairs it."""
    await client.execute_command(*arguments)  # type: ignore[no-untyped-call]
    assert await polling.loads() == 1
    rows = await client.hkeys(f"{KEY}categories")
    assert set(rows) == {id_.encode() for id_ in SMALL}
    assert (
        await client.hget(f"{KEY}meta", "digest") == digest.text(digest.of(SMALL.values())).encode()
    )


@pytest.mark.contract("5.3")
async def test_an_edit_that_was_undone(polling: Polling, client: redis.asyncio.Redis) -> None:
    """The row is the same, but nobody can know that without reading it."""
    row = await client.hget(f"{KEY}categories", "2")
    await client.hset(f"{KEY}categories", "2", "{}")
    await client.hset(f"{KEY}categories", "2", row)
    assert await polling.loads() == 1
    assert await polling.loads() == 0


@pytest.mark.contract("5.3")
async def test_another_publisher_commits(polling: Polling, client: redis.asyncio.Redis) -> None:
    """Before a poll: its state is loaded. During a poll: the race is lost."""
    other = Polling(client, None)
    other.source.set_tree(tree(("1", "0"), ("2", "1")))
    await other.loads()
    assert await polling.loads() == 1
    other.source.set_tree(tree(("1", "0")))
    polling.source.meanwhile = other.loads
    with pytest.raises(RaceLost):
        await polling.loads()


@pytest.mark.contract("5.3")
async def test_a_position_of_another_history(polling: Polling) -> None:
    """A failover may restore epoch and sequence, not the digest: it is loaded."""
    cache = polling.catalog.cache
    start = await polling.store.read_position()
    before = polling.store.loads
    await cache.read_state(start)
    other = start.stored_position._replace(digest=b"0123456789abcdef")
    await cache.read_state(start._replace(stored_position=other))
    assert polling.store.loads == before + 1


async def test_the_same_rows_in_another_order(polling: Polling) -> None:
    """The tree is the same, and the first one is kept."""
    polling.source.set_tree(reversed(SMALL.values()))
    assert await polling.loads() == 0
    cache = polling.catalog.cache
    state = await cache.read_state(await polling.store.read_position())
    decoded = cache.decode(await polling.source.fetch())
    assert decoded.tree is state.tree
    assert list(state.tree) == list(SMALL)


async def test_the_old_state_is_dropped_before_a_new_one_is_loaded(polling: Polling) -> None:
    """Otherwise a publisher would have two states and the rows of a third."""
    cache = polling.catalog.cache
    start = await polling.store.read_position()
    before = weakref.ref(await cache.read_state(start))
    found = []

    async def record_state() -> None:
        found.append(before())

    polling.store.meanwhile = record_state
    await cache.read_state(
        start._replace(stored_position=start.stored_position._replace(digest=b"another"))
    )
    assert found == [None]


@pytest.mark.contract("5.3")
async def test_a_server_that_was_restarted(folder: Path) -> None:
    """Its watch of before means nothing: the state is loaded."""
    with Valkey(folder) as server:
        async with Server(server.url).client() as client, aclosing(StateCache()) as cache:
            polling = Polling(client, cache)
            await polling.fill_cache()
            server.kill()
            server.start()
            assert await polling.loads() == 1
            assert await polling.loads() == 0


async def test_a_user_who_may_not_watch(real_client: redis.asyncio.Redis) -> None:
    """Everything works, and each poll loads the state."""
    await real_client.acl_setuser(
        "blind", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-watch"]
    )
    pool = redis.asyncio.ConnectionPool(
        **{**real_client.connection_pool.connection_kwargs, "username": "blind", "password": "x"},
        connection_class=real_client.connection_pool.connection_class,
    )
    try:
        async with redis.asyncio.Redis.from_pool(pool) as blind, aclosing(StateCache()) as cache:
            polling = Polling(blind, cache)
            assert [await polling.loads() for _ in range(3)] == [1, 1, 1]
    finally:
        await real_client.acl_deluser("blind")


def connections_in_use(client: redis.asyncio.Redis) -> int:
    """Return how many connections of `client` are not in its pool."""
    return len(client.connection_pool._in_use_connections)


@pytest.mark.contract("5.3")
async def test_a_read_that_is_cancelled_trusts_and_keeps_nothing(
    polling: Polling, client: redis.asyncio.Redis
) -> None:
    """The cancellation comes at each await; the next poll notices an edit."""
    async for _ in cancelled_at_each_await(polling.read_state):
        await client.hset(f"{KEY}categories", "2", "{}")
        assert await polling.loads() == 1
        assert await client.hget(f"{KEY}categories", "2") != b"{}"
        await polling.fill_cache()
        assert connections_in_use(client) == 1
    assert await polling.loads() == 0
    await polling.catalog.cache.close()
    assert connections_in_use(client) == 0


async def test_a_load_that_is_cancelled_keeps_no_connection(client: redis.asyncio.Redis) -> None:
    """The first poll watches before it loads."""
    await Polling(client, None).loads()
    async with aclosing(StateCache()) as cache:
        polling = Polling(client, cache)
        async for _ in cancelled_at_each_await(polling.read_state):
            await eventually(lambda: asyncio.sleep(0, connections_in_use(client) == 0))
        assert connections_in_use(client) == 1
        assert await polling.loads() == 0


async def test_at_most_a_hundred_catalogs_are_watched() -> None:
    """Each takes a connection; a thousand for each publisher would be too many."""
    client = fake_client()
    client.connection_pool.max_connections = 200
    async with client, aclosing(StateCache()) as cache:
        catalogs = [Polling(client, cache, f"c{number}") for number in range(103)]
        for each in catalogs:
            await each.loads()
            await each.loads()
        assert connections_in_use(client) == 100
        assert [await each.loads() for each in (catalogs[-1], catalogs[0])] == [0, 1]
        assert connections_in_use(client) == 100
        await cache.aclose()
        assert connections_in_use(client) == 0


async def test_the_cached_categories_are_limited(
    real_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least recently polled catalog is evicted; a huge one is never cached."""
    monkeypatch.setattr(caches, "MOST_CATEGORIES", 2 * len(SMALL))
    async with aclosing(StateCache()) as cache:
        three = [Polling(real_client, cache, name) for name in ("a", "b", "c")]
        for each in three:
            await each.loads()
            await each.loads()
        assert [await each.loads() for each in reversed(three)] == [0, 0, 1]
        assert connections_in_use(real_client) == 2
        three[2].source.set_tree(wide(2 * len(SMALL) + 1))
        assert [await three[2].loads() for _ in range(3)] == [1, 1, 1]
        assert connections_in_use(real_client) == 0


async def test_the_oldest_catalog_is_evicted(
    real_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was polled the longest ago; its connection is closed."""
    monkeypatch.setattr(caches, "MOST_CATALOGS", 2)
    async with aclosing(StateCache()) as cache:
        three = [Polling(real_client, cache, name) for name in ("a", "b", "c")]
        for each in three:
            await each.fill_cache()
        assert [await each.loads() for each in reversed(three)] == [0, 0, 1]
        assert await watched_keys(real_client) == 2 * 2


async def test_a_cache_that_is_cleared_during_a_fetch_stays_empty(polling: Polling) -> None:
    """No connection is kept for it any more."""
    cache: CatalogCache = polling.catalog.cache

    polling.source.meanwhile = cache.close
    assert await polling.loads() == 1
    assert cache.size == len(SMALL)


async def test_a_cache_that_is_cleared_during_a_load_stays_empty(
    real_client: redis.asyncio.Redis,
) -> None:
    """With thousands of catalogs each first poll may end so: its connection is closed."""
    async with aclosing(StateCache()) as cache:
        polling = Polling(real_client, cache)
        polling.store.meanwhile = cache.aclose
        assert [await polling.loads() for _ in range(3)] == [1, 1, 1]
        assert await watched_keys(real_client) == 0


async def test_two_polls_at_once(real_client: redis.asyncio.Redis) -> None:
    """Each gets its source's tree, and one connection watches for both."""
    async with aclosing(StateCache()) as cache:
        polling = Polling(real_client, cache)
        await polling.fill_cache()
        one = polling.catalog.cache
        first = one.decode(await polling.source.fetch())
        state = await one.read_state(await polling.store.read_position())

        polling.source.set_tree(tree(("1", "0"), ("2", "1")))
        second = one.decode(await polling.source.fetch())
        one.share_tree(first, state)
        assert one.decode(await polling.source.fetch()) == second

        start = await polling.store.read_position()
        await asyncio.gather(one.read_state(start), one.read_state(start))
        assert await watched_keys(real_client) == 2
        assert connections_in_use(real_client) == 1


@pytest.mark.contract("5.3")
async def test_a_late_poll_shares_no_tree_with_a_newer_state(polling: Polling) -> None:
    """Another poll has cached it meanwhile."""
    cache = polling.catalog.cache
    old = await polling.read_state()
    snapshot = cache.decode(await polling.source.fetch())
    polling.source.set_tree(tree(("1", "0"), ("2", "1")))
    await polling.fill_cache()
    cache.share_tree(snapshot, old)
    assert (await polling.read_state()).tree == tree(("1", "0"), ("2", "1"))


async def test_a_closed_cache_is_empty(polling: Polling) -> None:
    """It keeps no tree, and none from then on."""
    cache = polling.catalog.cache
    assert cache.size == len(SMALL)
    await cache.close()
    assert cache.size == 0
    await polling.read_state()
    assert cache.size == 0


def test_the_limits_are_those_in_the_changelog() -> None:
    """They decide how much memory and how many connections a publisher takes."""
    limits = f"{caches.MOST_CATALOGS} catalogs ({caches.MOST_CATEGORIES:,} categories in all)"
    assert f"up to {limits}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
