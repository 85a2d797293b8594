"""The pair in Redis: sealed, one for all publishers, and never lost to a newer one's refresher."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web
from cryptography.fernet import Fernet

from plumbing.errors import RedisError
from plumbing.redis.replies import as_bytes
from plumbing.redis.server import Server
from publisher.errors import RefreshUnderWay, TokenError
from publisher.sources.tiktok.authorize import authorize
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair, TokenStore
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens
from publisher.sources.tiktok.tokens.stores import token_store
from tests.publisher.sources.fake_shop import (
    GET_TOKEN,
    REFRESH,
    SHOPS,
    TOKEN_KEY,
    FakeShop,
    envelope,
    pair_data,
)
from tests.publisher.sources.open_sources import tiktok_client
from tests.publisher.sources.token_processes import SECONDS, kill_process, read_line, run_process
from tests.support.valkey import Valkey

KEY = "tiktok_shop:{key-1}:tokens:tokens.json"
LOCK = f"{KEY}:lock"
OTHER_KEY = Fernet.generate_key().decode()
PAIR = TokenPair(access_token="access-0", refresh_token="refresh-0")
NEW = TokenPair(access_token="access-1", refresh_token="refresh-1", stored_at=1.5)


class Publisher:
    """What one publisher has of its own: a client of Redis, a store and its tokens."""

    def __init__(self, shop: FakeShop, session: aiohttp.ClientSession, folder: Path) -> None:
        self._shop, self._session, self._folder = shop, session, folder

    def store(
        self, client: redis.asyncio.Redis, server: Server, keys: str = TOKEN_KEY
    ) -> TokenStore:
        """Return the store of a publisher that has the token keys `keys`."""
        settings = self._shop.settings(self._folder, token_key=keys).tiktok_shop
        return token_store(settings, data_dir=self._folder, client=client, server=server)

    def tokens(self, store: TokenStore) -> RefreshedTokens:
        """Return tokens that nobody shares yet."""
        settings = self._shop.settings(self._folder, token_key=TOKEN_KEY).tiktok_shop
        return RefreshedTokens(settings, tiktok_client(settings, self._session), store)


@pytest.fixture
def publisher(shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path) -> Publisher:
    return Publisher(shop, session, tmp_path)


@pytest.fixture
def store(publisher: Publisher, client: redis.asyncio.Redis, server: Server) -> TokenStore:
    return publisher.store(client, server)


async def test_what_stands_in_redis_tells_nothing(
    store: TokenStore, client: redis.asyncio.Redis
) -> None:
    """One key, named by app and token_file; neither of the tokens is in it."""
    await store.store(PAIR)
    assert await store.load() == PAIR
    assert await client.keys() == [KEY.encode()]
    sealed = as_bytes(await client.get(KEY))
    assert b"access" not in sealed
    assert b"refresh" not in sealed
    assert TOKEN_KEY not in f"{store!r} {vars(store)}"


async def test_an_empty_place_holds_no_pair(store: TokenStore) -> None:
    """That is no error: there may be tokens to start with elsewhere."""
    assert await store.load() is None
    await store.check_writable()


async def test_only_what_the_refresher_began_with_is_replaced(store: TokenStore) -> None:
    """A pair that somebody else has stored meanwhile stays; the same swap again is no harm."""
    assert await store.replace(None, PAIR)
    assert await store.replace(PAIR, NEW)
    assert await store.replace(PAIR, NEW)
    assert not await store.replace(None, PAIR)
    assert not await store.replace(PAIR, PAIR.model_copy(update={"stored_at": 2.0}))
    assert await store.load() == NEW


async def test_of_many_swaps_at_once_one_wins(store: TokenStore) -> None:
    """Whichever comes first."""
    await store.store(PAIR)
    news = [NEW.model_copy(update={"stored_at": float(number)}) for number in range(8)]
    won = await asyncio.gather(*(store.replace(PAIR, new) for new in news))
    assert won.count(True) == 1
    assert await store.load() == news[won.index(True)]


async def test_a_key_is_rotated_in_three_steps(
    publisher: Publisher, store: TokenStore, client: redis.asyncio.Redis, server: Server
) -> None:
    """Known beside the old one, then first, then alone; whoever reads it seals it anew."""
    await store.store(PAIR)
    for keys in (f"{TOKEN_KEY},{OTHER_KEY}", f"{OTHER_KEY}, {TOKEN_KEY}", OTHER_KEY):
        assert await publisher.store(client, server, keys).load() == PAIR
    with pytest.raises(TokenError, match="token_key does not decrypt the tokens"):
        await store.load()


@pytest.mark.parametrize("sealed", ["", "hush", "gAAAAA"])
async def test_what_cannot_be_opened_is_not_overwritten(
    publisher: Publisher,
    shop: FakeShop,
    session: aiohttp.ClientSession,
    client: redis.asyncio.Redis,
    server: Server,
    tmp_path: Path,
    sealed: str,
) -> None:
    """By another key, or not by any: no refresh and no authorization begins."""
    await client.set(KEY, sealed or Fernet(OTHER_KEY).encrypt(PAIR.model_dump_json().encode()))
    before = await client.get(KEY)
    store = publisher.store(client, server)
    settings = shop.settings(tmp_path, token_key=TOKEN_KEY).tiktok_shop
    for attempt in (
        store.load(),
        store.replace(PAIR, NEW),
        publisher.tokens(store).renewed("access-0"),
        authorize("code-1", settings, session, store),
    ):
        with pytest.raises(TokenError, match=f"{KEY}: token_key does not decrypt") as caught:
            await attempt
        assert TOKEN_KEY not in str(caught.value)
    assert await client.get(KEY) == before
    assert not shop.requests


async def test_authorize_stores_into_redis(
    shop: FakeShop, session: aiohttp.ClientSession, store: TokenStore, tmp_path: Path
) -> None:
    """Every publisher has the pair at once, and no file is written."""
    shop.answers[GET_TOKEN] = [envelope(data=pair_data(1))]
    shop.answers[SHOPS] = [envelope(data={"shops": []})]
    settings = shop.settings(tmp_path, token_key=TOKEN_KEY).tiktok_shop
    await authorize("code-1", settings, session, store)
    found = await store.load()
    assert found
    assert found.refresh_token == "refresh-1"
    assert not list(tmp_path.iterdir())


async def test_a_pair_in_the_file_moves_once(store: TokenStore, tmp_path: Path) -> None:
    """No seller has to authorize again for a token_key; the file is set aside, not deleted."""
    file = FileTokenStore(tmp_path / "tokens.json")
    await file.store(PAIR)
    assert await asyncio.gather(*(store.load() for _ in range(4))) == [PAIR] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json.moved"]

    await store.store(NEW)
    await file.store(PAIR)
    assert await store.load() == NEW


async def test_a_refused_command_of_redis_is_told(
    publisher: Publisher, client: redis.asyncio.Redis, server: Server
) -> None:
    """As the poll's failure, naming the server."""
    await client.hset(KEY, "no", "string")
    with pytest.raises(RedisError, match="WRONGTYPE"):
        await publisher.store(client, server).load()


async def test_one_refresher_of_all_publishers(
    publisher: Publisher, shop: FakeShop, store: TokenStore, valkey: Valkey, tmp_path: Path
) -> None:
    """Of two processes, four publishers and eight tasks, one refreshes for all."""
    await store.store(PAIR)
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    words = ("token_refresher", shop.url, tmp_path, valkey.url)
    publishers = [publisher.tokens(store) for _ in range(4)]
    async with run_process(*words) as one, run_process(*words) as two:
        got = await asyncio.gather(*(each.renewed("access-0") for each in publishers * 2))
        assert {*got, await read_line(one), await read_line(two)} == {"access-1"}
    assert len(shop.requests_for(REFRESH)) == 1


async def test_killed_after_the_request_before_the_store(
    publisher: Publisher,
    shop: FakeShop,
    store: TokenStore,
    client: redis.asyncio.Redis,
    valkey: Valkey,
    tmp_path: Path,
) -> None:
    """The old pair stays, the lock ends by itself, and then another publisher refreshes."""
    await store.store(PAIR)
    victim: list[asyncio.subprocess.Process] = []
    is_known = asyncio.Event()

    async def kill_refresher(request: web.Request) -> web.StreamResponse:
        await is_known.wait()
        await kill_process(victim[0])
        return await envelope(data=pair_data(1))(request)

    shop.answers[REFRESH] = [kill_refresher, envelope(data=pair_data(2))]
    async with run_process("token_refresher", shop.url, tmp_path, valkey.url) as process:
        victim.append(process)
        is_known.set()
        assert await read_line(process) == ""
    assert await store.load() == PAIR
    assert 60_000 < await client.pttl(LOCK) <= 90_000
    with pytest.raises(RefreshUnderWay, match="another publisher has been refreshing"):
        async with store.locked(0):
            pass
    await client.pexpire(LOCK, 1)
    assert await publisher.tokens(store).renewed("access-0") == "access-2"
    assert await client.exists(LOCK) == 0


@pytest.mark.parametrize("other_is_let", [True, False])
async def test_paused_beyond_its_lock(
    publisher: Publisher,
    shop: FakeShop,
    store: TokenStore,
    client: redis.asyncio.Redis,
    valkey: Valkey,
    tmp_path: Path,
    *,
    other_is_let: bool,
) -> None:
    """Who wakes up takes away no newer pair; if there is none, its own is not lost."""
    await store.store(PAIR)
    sleeper: list[asyncio.subprocess.Process] = []
    is_known, sleeps, may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def pause(request: web.Request) -> web.StreamResponse:
        await is_known.wait()
        os.kill(sleeper[0].pid, signal.SIGSTOP)
        sleeps.set()
        await may_answer.wait()
        return await envelope(data=pair_data(1))(request)

    second = envelope(data=pair_data(2)) if other_is_let else envelope(36004001, "used up")
    shop.answers[REFRESH] = [pause, second]
    async with run_process("token_refresher", shop.url, tmp_path, valkey.url) as process:
        sleeper.append(process)
        is_known.set()
        async with asyncio.timeout(SECONDS):
            await sleeps.wait()
        may_answer.set()
        await client.pexpire(LOCK, 1)
        other = publisher.tokens(store)
        if other_is_let:
            assert await other.renewed("access-0") == "access-2"
        else:
            with pytest.raises(TokenError, match="36004001"):
                await other.renewed("access-0")
        os.kill(process.pid, signal.SIGCONT)
        wanted = "access-2" if other_is_let else "access-1"
        assert await read_line(process) == wanted
        assert await other.current() == wanted


async def test_a_refusal_is_looked_into(
    publisher: Publisher, shop: FakeShop, store: TokenStore
) -> None:
    """Whose refresh token is used up, since somebody without our lock refreshed, goes along."""
    await store.store(PAIR)

    async def refuse(request: web.Request) -> web.StreamResponse:
        await store.store(NEW)
        return await envelope(36004001, "used up")(request)

    shop.answers[REFRESH] = [refuse]
    assert await publisher.tokens(store).renewed("access-0") == "access-1"


async def test_redis_goes_away_before_the_store(
    publisher: Publisher, shop: FakeShop, folder: Path
) -> None:
    """The new pair waits in memory, and is stored, then used, once Redis is back."""
    with Valkey(folder) as valkey:
        server = Server(valkey.url)
        async with server.client() as client:
            assert isinstance(client, redis.asyncio.Redis)
            store = publisher.store(client, server)
            await store.store(PAIR)

            async def kill_refresher(request: web.Request) -> web.StreamResponse:
                valkey.kill()
                return await envelope(data=pair_data(1))(request)

            shop.answers[REFRESH] = [kill_refresher, envelope(36004001, "used up")]
            tokens = publisher.tokens(store)
            with pytest.raises(RedisError, match="Redis at unix"):
                await tokens.renewed("access-0")
            valkey.start()
            await client.delete(LOCK)
            assert await tokens.renewed("access-0") == "access-1"
            found = await store.load()
            assert found
            assert found.refresh_token == "refresh-1"
    assert len(shop.requests_for(REFRESH)) == 1


@pytest.mark.parametrize("everything", [True, False])
async def test_redis_loses_its_last_second(
    publisher: Publisher,
    shop: FakeShop,
    store: TokenStore,
    client: redis.asyncio.Redis,
    *,
    everything: bool,
) -> None:
    """Who has refreshed finds the old pair there, or none, and puts the new one back."""
    await store.store(PAIR)
    before = as_bytes(await client.get(KEY))
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    tokens = publisher.tokens(store)
    assert await tokens.renewed("access-0") == "access-1"
    if everything:
        await client.flushall()
        assert await tokens.current() == "access-1"
    else:
        await client.set(KEY, before)
        assert await tokens.renewed("access-0") == "access-1"
    found = await store.load()
    assert found
    assert found.refresh_token == "refresh-1"
    assert len(shop.requests_for(REFRESH)) == 1
