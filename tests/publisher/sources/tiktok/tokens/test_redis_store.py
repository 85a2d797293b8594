"""The pair in Redis: encrypted, shared, never replaced by an older one."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web
from cryptography.fernet import Fernet
from pydantic import SecretStr

from plumbing.errors import RedisError
from plumbing.redis.replies import as_bytes
from plumbing.redis.server import Server
from publisher.errors import RefreshUnderWay, TokenError
from publisher.sources.tiktok.authorize import authorize
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair, TokenStore
from publisher.sources.tiktok.tokens.redis_store import RedisTokenStore
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
from tests.publisher.sources.token_processes import kill_process, read_line, run_process
from tests.support.messages import whole
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE

KEY = "tiktok_shop:{key-1}:tokens:tokens.json"
LOCK = f"{KEY}:lock"
OTHER_KEY = Fernet.generate_key().decode()
PAIR = TokenPair(access_token="access-0", refresh_token="refresh-0")
NEW = TokenPair(access_token="access-1", refresh_token="refresh-1", stored_at=1.5)


class Publisher:
    """Makes the store and the tokens of one publisher."""

    def __init__(self, shop: FakeShop, session: aiohttp.ClientSession, folder: Path) -> None:
        self._shop, self._session, self._folder = shop, session, folder

    def store(
        self, client: redis.asyncio.Redis, server: Server, keys: str = TOKEN_KEY
    ) -> TokenStore:
        """Return the store of a publisher that has the token keys `keys`."""
        settings = self._shop.settings(self._folder, token_key=keys).tiktok_shop
        return token_store(settings, data_dir=self._folder, client=client, server=server)

    def tokens(self, store: TokenStore) -> RefreshedTokens:
        """Return tokens with an object of their own."""
        settings = self._shop.settings(self._folder, token_key=TOKEN_KEY).tiktok_shop
        return RefreshedTokens(settings, tiktok_client(settings, self._session), store)


@pytest.fixture
def publisher(shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path) -> Publisher:
    return Publisher(shop, session, tmp_path)


@pytest.fixture
def store(publisher: Publisher, client: redis.asyncio.Redis, server: Server) -> TokenStore:
    return publisher.store(client, server)


@pytest.mark.contract("7")
async def test_the_pair_is_encrypted(store: TokenStore, client: redis.asyncio.Redis) -> None:
    """In one key, named by app and token_file."""
    await store.store(PAIR)
    assert await store.load() == PAIR
    assert await client.keys() == [KEY.encode()]
    encrypted = as_bytes(await client.get(KEY))
    assert b"access" not in encrypted
    assert b"refresh" not in encrypted
    assert TOKEN_KEY not in f"{store!r} {vars(store)}"


async def test_a_missing_key_is_no_pair(store: TokenStore) -> None:
    """That is not an error: the settings may have tokens."""
    assert await store.load() is None
    await store.check_writable()


async def test_only_the_expected_pair_is_replaced(store: TokenStore) -> None:
    """Another publisher's newer pair stays; a repeated swap succeeds."""
    assert await store.replace(None, PAIR)
    assert await store.replace(PAIR, NEW)
    assert await store.replace(PAIR, NEW)
    assert not await store.replace(None, PAIR)
    assert not await store.replace(PAIR, PAIR.model_copy(update={"stored_at": 2.0}))
    assert await store.load() == NEW


async def test_of_concurrent_swaps_one_succeeds(store: TokenStore) -> None:
    """The first one."""
    await store.store(PAIR)
    news = [NEW.model_copy(update={"stored_at": float(number)}) for number in range(8)]
    succeeded = await asyncio.gather(*(store.replace(PAIR, new) for new in news))
    assert succeeded.count(True) == 1
    assert await store.load() == news[succeeded.index(True)]


class Interrupted(RedisTokenStore):
    """Lets another publisher store `others` between a read and its swap, once."""

    others: TokenPair | None = None

    async def _swap(self, expected: bytes, encrypted: bytes) -> bool:
        others, self.others = self.others, None
        if others is not None:
            await self.client.set(
                self.key, Fernet(TOKEN_KEY).encrypt(others.model_dump_json().encode())
            )
        return await super()._swap(expected, encrypted)


OTHERS = TokenPair(access_token="access-9", refresh_token="refresh-9")


@pytest.fixture
def interrupted(store: RedisTokenStore) -> Interrupted:
    return Interrupted(store.key, store.token_key, store.file, store.client, store.server)


@pytest.mark.parametrize(
    ("others", "is_replaced", "stored"),
    [(OTHERS, False, OTHERS), (PAIR, True, NEW), (NEW, True, NEW)],
)
async def test_another_publisher_stores_amid_a_replacement(
    store: TokenStore,
    interrupted: Interrupted,
    others: TokenPair,
    stored: TokenPair,
    *,
    is_replaced: bool,
) -> None:
    """Another pair stays; a new encryption of the expected one is replaced."""
    await store.store(PAIR)
    interrupted.others = others
    assert await interrupted.replace(PAIR, NEW) is is_replaced
    assert await store.load() == stored


async def test_another_publisher_stores_amid_a_check(
    store: TokenStore, interrupted: Interrupted
) -> None:
    """Nothing is written over its pair."""
    await store.store(PAIR)
    interrupted.others = OTHERS
    await interrupted.check_writable()
    assert await store.load() == OTHERS


@pytest.mark.parametrize(("others", "is_set_aside"), [(OTHERS, False), (PAIR, True)])
async def test_another_publisher_stores_amid_the_move(
    interrupted: Interrupted,
    tmp_path: Path,
    others: TokenPair,
    *,
    is_set_aside: bool,
) -> None:
    """The other's pair is used, and the file stays; unless both moved the same pair."""
    await FileTokenStore(tmp_path / "tokens.json").store(PAIR)
    interrupted.others = others
    assert await interrupted.load() == others
    assert (tmp_path / "tokens.json.moved").exists() == is_set_aside
    assert (tmp_path / "tokens.json").exists() != is_set_aside


async def test_another_publisher_moves_the_pair_between_two_reads(
    store: RedisTokenStore, interrupted: Interrupted, tmp_path: Path
) -> None:
    """Redis has none yet, and then the file has none any more: the pair is found."""

    class Moved(FileTokenStore):
        async def load(self) -> TokenPair | None:
            assert await store.load() == PAIR
            return await super().load()

    interrupted.file = Moved(tmp_path / "tokens.json")
    await interrupted.file.store(PAIR)
    assert await interrupted.load() == PAIR


async def test_another_publisher_stores_amid_a_rotation(
    store: TokenStore, interrupted: Interrupted
) -> None:
    """The pair that was read is returned, and the other's stays."""
    await store.store(PAIR)
    rotated = Interrupted(
        interrupted.key, SecretStr(f"{OTHER_KEY},{TOKEN_KEY}"), interrupted.file,
        interrupted.client, interrupted.server,
    )  # fmt: skip
    rotated.others = OTHERS
    assert await rotated.load() == PAIR
    assert await store.load() == OTHERS


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"refresh_token":"hush"}', b'{"access_token":"hu sh"}']
)
async def test_a_value_that_is_no_pair_is_a_clear_error(
    store: TokenStore, client: redis.asyncio.Redis, content: bytes
) -> None:
    """The message has key and advice, nothing of the content, which stays."""
    encrypted = Fernet(TOKEN_KEY).encrypt(content)
    await client.set(KEY, encrypted)
    message = rf"^Redis key {KEY} contains no tokens \(.+\): delete it and run `"
    for attempt in (store.load(), store.replace(PAIR, NEW), store.check_writable()):
        with pytest.raises(TokenError, match=message.replace("{", r"\{")) as caught:
            await attempt
        assert "hu" not in str(caught.value).partition("Redis key")[2].replace("authorize", "")
    assert await client.get(KEY) == encrypted


async def test_a_key_is_rotated_in_three_steps(
    publisher: Publisher, store: TokenStore, client: redis.asyncio.Redis, server: Server
) -> None:
    """Second, then first, then alone; a read encrypts the pair with the first key."""
    await store.store(PAIR)
    for keys in (f"{TOKEN_KEY},{OTHER_KEY}", f"{OTHER_KEY}, {TOKEN_KEY}", OTHER_KEY):
        assert await publisher.store(client, server, keys).load() == PAIR
    with pytest.raises(
        TokenError,
        match=whole(
            "Redis key tiktok_shop:{key-1}:tokens:tokens.json: token_key does not decrypt the "
            "tokens: set the key that encrypted them (several keys with commas between; the "
            "first encrypts), or, if it is lost, delete this Redis key and run "
            "`category-publisher authorize`"
        ),
    ):
        await store.load()


@pytest.mark.parametrize("encrypted", ["", "hush", "gAAAAA"])
async def test_a_value_that_no_key_decrypts_is_not_overwritten(
    publisher: Publisher,
    shop: FakeShop,
    session: aiohttp.ClientSession,
    client: redis.asyncio.Redis,
    server: Server,
    tmp_path: Path,
    encrypted: str,
) -> None:
    """No refresh and no authorization starts."""
    await client.set(KEY, encrypted or Fernet(OTHER_KEY).encrypt(PAIR.model_dump_json().encode()))
    before = await client.get(KEY)
    store = publisher.store(client, server)
    settings = shop.settings(tmp_path, token_key=TOKEN_KEY).tiktok_shop
    for attempt in (
        store.load(),
        store.replace(PAIR, NEW),
        publisher.tokens(store).renew("access-0"),
        authorize("code-1", settings, session, store),
    ):
        with pytest.raises(
            TokenError,
            match=whole(
                "Redis key tiktok_shop:{key-1}:tokens:tokens.json: token_key does not decrypt "
                "the tokens: set the key that encrypted them (several keys with commas between; "
                "the first encrypts), or, if it is lost, delete this Redis key and run "
                "`category-publisher authorize`"
            ),
        ) as caught:
            await attempt
        assert TOKEN_KEY not in str(caught.value)
    assert await client.get(KEY) == before
    assert not shop.requests


async def test_authorize_stores_into_redis(
    shop: FakeShop, session: aiohttp.ClientSession, store: TokenStore, tmp_path: Path
) -> None:
    """All publishers have the pair at once, and no file is written."""
    shop.answers[GET_TOKEN] = [envelope(data=pair_data(1))]
    shop.answers[SHOPS] = [envelope(data={"shops": []})]
    settings = shop.settings(tmp_path, token_key=TOKEN_KEY).tiktok_shop
    await authorize("code-1", settings, session, store)
    found = await store.load()
    assert found
    assert found.refresh_token == "refresh-1"
    assert not list(tmp_path.iterdir())


async def test_a_pair_in_the_file_moves_once(store: TokenStore, tmp_path: Path) -> None:
    """A new token_key needs no new authorization; the file is renamed, not deleted."""
    file = FileTokenStore(tmp_path / "tokens.json")
    await file.store(PAIR)
    assert await asyncio.gather(*(store.load() for _ in range(4))) == [PAIR] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json.moved"]

    await store.store(NEW)
    await file.store(PAIR)
    assert await store.load() == NEW


async def test_an_error_of_redis_is_a_redis_error(
    publisher: Publisher, client: redis.asyncio.Redis, server: Server
) -> None:
    """So the poll fails and names it."""
    await client.hset(KEY, "no", "string")
    with pytest.raises(
        RedisError,
        match=whole(
            "Redis at unix://<any>/s: WRONGTYPE Operation against a key holding the wrong "
            "kind of value (something else writes to our keys: rename or delete what is not "
            "of our type)"
        ),
    ):
        await publisher.store(client, server).load()


async def test_one_refresher_of_all_publishers(
    publisher: Publisher, shop: FakeShop, store: TokenStore, valkey: Valkey, tmp_path: Path
) -> None:
    """Of two processes, four publishers and eight tasks, one refreshes for all."""
    await store.store(PAIR)
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    arguments = ("token_refresher", shop.url, tmp_path, valkey.url)
    publishers = [publisher.tokens(store) for _ in range(4)]
    async with run_process(*arguments) as one, run_process(*arguments) as two:
        got = await asyncio.gather(*(each.renew("access-0") for each in publishers * 2))
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
    """The old pair stays, the lock expires, and then another publisher refreshes."""
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
    with pytest.raises(
        RefreshUnderWay,
        match=whole(
            "Redis key tiktok_shop:{key-1}:tokens:tokens.json:lock: another publisher has been "
            "refreshing the tokens for 0 s: does it hang?"
        ),
    ):
        async with store.locked(0):
            pass
    await client.pexpire(LOCK, 1)
    assert await publisher.tokens(store).renew("access-0") == "access-2"
    assert await client.exists(LOCK) == 0


@pytest.mark.parametrize("other_succeeds", [True, False])
async def test_paused_beyond_its_lock(
    publisher: Publisher,
    shop: FakeShop,
    store: TokenStore,
    client: redis.asyncio.Redis,
    valkey: Valkey,
    tmp_path: Path,
    *,
    other_succeeds: bool,
) -> None:
    """A resumed refresher replaces no newer pair; without one, it stores its own."""
    await store.store(PAIR)
    paused: list[asyncio.subprocess.Process] = []
    is_known, is_paused, may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def pause(request: web.Request) -> web.StreamResponse:
        await is_known.wait()
        os.kill(paused[0].pid, signal.SIGSTOP)
        is_paused.set()
        await may_answer.wait()
        return await envelope(data=pair_data(1))(request)

    second = envelope(data=pair_data(2)) if other_succeeds else envelope(36004001, "used up")
    shop.answers[REFRESH] = [pause, second]
    async with run_process("token_refresher", shop.url, tmp_path, valkey.url) as process:
        paused.append(process)
        is_known.set()
        async with asyncio.timeout(PATIENCE):
            await is_paused.wait()
        may_answer.set()
        await client.pexpire(LOCK, 1)
        other = publisher.tokens(store)
        if other_succeeds:
            assert await other.renew("access-0") == "access-2"
        else:
            with pytest.raises(
                TokenError,
                match=whole(
                    "http://127.0.0.1:<any>/api/v2/token/refresh: TikTok Shop refused: the refresh "
                    "token has expired, or was already used: by a refresh whose answer was "
                    "lost, or "
                    "by another system that has the same tokens (code 36004001, message 'used up', "
                    "request_id req-7): run `category-publisher authorize`"
                ),
            ):
                await other.renew("access-0")
        os.kill(process.pid, signal.SIGCONT)
        wanted = "access-2" if other_succeeds else "access-1"
        assert await read_line(process) == wanted
        assert await other.current() == wanted


async def test_after_a_refusal_the_store_is_read_again(
    publisher: Publisher, shop: FakeShop, store: TokenStore
) -> None:
    """If somebody refreshed without our lock, their pair is used."""
    await store.store(PAIR)

    async def refuse(request: web.Request) -> web.StreamResponse:
        await store.store(NEW)
        return await envelope(36004001, "used up")(request)

    shop.answers[REFRESH] = [refuse]
    assert await publisher.tokens(store).renew("access-0") == "access-1"


async def test_redis_fails_before_the_store(
    publisher: Publisher, shop: FakeShop, folder: Path
) -> None:
    """The new pair stays in memory; it is stored, then used, after the outage."""
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
            with pytest.raises(
                RedisError,
                match=whole(
                    "Redis at unix://<any>/s: Error 111 connecting to <any>/s. Connection refused. "
                    "(is it running, and is redis_url right?)"
                ),
            ):
                await tokens.renew("access-0")
            valkey.start()
            await client.delete(LOCK)
            assert await tokens.renew("access-0") == "access-1"
            found = await store.load()
            assert found
            assert found.refresh_token == "refresh-1"
    assert len(shop.requests_for(REFRESH)) == 1


@pytest.mark.parametrize("lost_all", [True, False])
async def test_redis_loses_its_last_writes(
    publisher: Publisher,
    shop: FakeShop,
    store: TokenStore,
    client: redis.asyncio.Redis,
    *,
    lost_all: bool,
) -> None:
    """The refresher finds the old pair or none, and stores the new one again."""
    await store.store(PAIR)
    before = as_bytes(await client.get(KEY))
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    tokens = publisher.tokens(store)
    assert await tokens.renew("access-0") == "access-1"
    if lost_all:
        await client.flushall()
        assert await tokens.current() == "access-1"
    else:
        await client.set(KEY, before)
        assert await tokens.renew("access-0") == "access-1"
    found = await store.load()
    assert found
    assert found.refresh_token == "refresh-1"
    assert len(shop.requests_for(REFRESH)) == 1
