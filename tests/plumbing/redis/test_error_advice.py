"""Each refusal of a real server: what the error says, that nothing is torn, that it goes on."""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import pytest
import redis
from redis._parsers.base import BaseParser

from consumers.following.catalog_client import Timing, connect
from plumbing.errors import RedisError
from plumbing.redis import error_advice
from plumbing.redis.error_advice import is_transient_for_reads, is_wrong_type
from plumbing.redis.server import Server, check_server
from tests.plumbing.redis.publishing import following, publishing
from tests.support import full_disk
from tests.support.ports import free_port
from tests.support.proxy import Strike, proxied
from tests.support.redis_servers import asked, is_said_again, times_said
from tests.support.valkey import Valkey
from tests.support.waiting import eventually, eventually_now

Act = Callable[[Valkey], object]


Reader = Literal["reads on", "waits", "ends"]

LOGIN: Final = "?username=ours&password=hunter2"


class Case(NamedTuple):
    """A server that refuses, how it comes to itself again, and what a consumer does meanwhile."""

    begin: Act
    end: Act
    words: str
    is_transient: bool
    reader: Reader = "reads on"
    login: str = LOGIN


def config(name: str, value: str) -> Act:
    return lambda server: asked(server, "CONFIG SET", name, value)


def acl(*rules: str) -> Act:
    return lambda server: asked(server, "ACL SETUSER", "ours", *rules)


def lacking(command: str, reader: Reader) -> Case:
    """Refuse one command to our user."""
    words = "let this user's ACL allow the command: see docs/security.md"
    return Case(acl(f"-{command}"), acl(f"+{command}"), words, is_transient=False, reader=reader)


def follow(server: Valkey, *, stale: bool) -> None:
    """Make it a replica of a primary that is gone."""
    asked(server, "CONFIG SET", "replica-serve-stale-data", "yes" if stale else "no")
    asked(server, "REPLICAOF", "127.0.0.1", free_port())


def lead(server: Valkey) -> None:
    asked(server, "REPLICAOF", "NO", "ONE")


def fail_to_save(server: Valkey) -> None:
    """Let a directory be where the server wants to write its dump."""
    (server.folder / "dump.rdb").mkdir()
    asked(server, "CONFIG SET", "save", "3600 1")
    asked(server, "BGSAVE")
    eventually_now(lambda: asked(server, "INFO", "persistence")["rdb_last_bgsave_status"] == "err")


def save(server: Valkey) -> None:
    (server.folder / "dump.rdb").rmdir()
    asked(server, "BGSAVE")
    eventually_now(lambda: asked(server, "INFO", "persistence")["rdb_last_bgsave_status"] == "ok")


CASES = {
    "READONLY": Case(
        partial(follow, stale=True), lead, "name the primary in redis_url", is_transient=True
    ),
    "MASTERDOWN": Case(
        partial(follow, stale=False),
        lead,
        "it is a replica",  # READONLY to a publisher, which writes first
        is_transient=True,
        reader="waits",
    ),
    "OOM": Case(
        config("maxmemory", "1"), config("maxmemory", "0"), "raise maxmemory", is_transient=True
    ),
    "NOREPLICAS": Case(
        config("min-replicas-to-write", "1"),
        config("min-replicas-to-write", "0"),
        "see min-replicas-to-write",
        is_transient=True,
    ),
    "MISCONF": Case(fail_to_save, save, "it cannot write to its disk", is_transient=True),
    "NOPERM evalsha": lacking("evalsha", "reads on"),
    "NOPERM xadd": lacking("xadd", "reads on"),
    "NOPERM hgetall": lacking("hgetall", "ends"),
    "NOAUTH": Case(
        config("requirepass", "hunter2"),
        lambda server: redis.Redis(
            unix_socket_path=str(server.socket), password="hunter2", protocol=2
        ).config_set("requirepass", ""),
        "check user name and password",
        is_transient=False,
        reader="ends",
        login="",
    ),
    "WRONGPASS": Case(
        acl("resetpass", ">another"),
        acl("resetpass", ">hunter2"),
        "check user name and password",
        is_transient=False,
        reader="ends",
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_refusal(own_valkey: Valkey, name: str) -> None:
    """The error names the server and what to do, nothing is written, and the next poll goes on."""
    case = CASES[name]
    asked(own_valkey, "ACL SETUSER", "ours", "on", ">hunter2", "~*", "+@all")
    url = own_valkey.url + case.login
    async with publishing(url) as catalog, following(url) as stream:
        await catalog.poll(2)
        case.begin(own_valkey)
        await catalog.client.aclose()  # a login is asked for by new connections only
        error = await catalog.refused(4)
        assert case.words in str(error)
        assert "hunter2" not in str(error)
        assert error.is_transient is case.is_transient
        reading = asyncio.ensure_future(stream.read_with_meta("0-0"))
        await until_settled(reading, own_valkey, case)
        case.end(own_valkey)
        if case.reader != "ends":
            assert len((await reading)[0]) == 2
        assert times_said({name.partition(" ")[0]}, own_valkey)
        assert await catalog.events() == [1, 2]
        assert (await catalog.poll(4)).counts.added == 2
        assert await catalog.events() == [1, 2, 3, 4]


async def until_settled(reading: asyncio.Future[Any], server: Valkey, case: Case) -> None:
    """Return when the consumer has done what it does while the server refuses."""
    if case.reader == "waits":
        said = times_said({"MASTERDOWN"}, server)
        await eventually(partial(is_said_again, said, {"MASTERDOWN"}, server))
        assert not reading.done()
    elif case.reader == "ends":
        with pytest.raises(RedisError, match=case.words):
            await reading
    else:
        await reading


async def test_a_full_disk(folder: Path) -> None:
    """MISCONF, as the append-only file cannot grow: the commit that met it is not lost nor doubled.

    What stands for the disk is the size that a file of the server may have (RLIMIT_FSIZE).
    """
    with Valkey(folder, binary=full_disk.deaf(folder)) as server:
        async with publishing(server.url) as catalog, following(server.url) as stream:
            await catalog.poll(2)
            full_disk.fill(server)
            assert (await catalog.poll(4)).counts.added == 2  # in memory; then the file is cut
            error = await catalog.refused(5)
            assert error.is_transient
            assert "it cannot write to its disk: make room there" in str(error)
            assert len(await stream.read("0-0", wait=False)) == 4
            full_disk.make_room(server)
            await eventually(partial(is_written, server))
            await catalog.poll(5)
        server.kill()
        server.start()
        async with publishing(server.url) as catalog:
            assert await catalog.events() == [1, 2, 3, 4, 5]
            assert (await catalog.poll(5)).outcome == "unchanged"


async def test_a_crash_while_the_disk_is_full(folder: Path) -> None:
    """What was in memory only is published again, once."""
    with Valkey(folder, binary=full_disk.deaf(folder)) as server:
        async with publishing(server.url) as catalog:
            await catalog.poll(2)
            full_disk.fill(server)
            await catalog.poll(4)
            await catalog.refused(5)
        server.kill()
        server.start()
        async with publishing(server.url) as catalog:
            assert await catalog.events() == [1, 2]
            assert (await catalog.poll(5)).counts.added == 3
            assert await catalog.events() == [1, 2, 3, 4, 5]


async def is_written(server: Valkey) -> bool:
    return bool(asked(server, "INFO", "persistence")["aof_last_write_status"] == "ok")


async def test_a_database_that_is_not_there(own_valkey: Valkey) -> None:
    """What a server says to our login stays, on a Unix socket too."""
    for url in (f"{own_valkey.url}?db=99", own_valkey.tcp_url.replace("/0", "/99")):
        with pytest.raises(RedisError, match="DB index is out of range") as raised:
            await check_server(Server(url))
        assert not raised.value.is_transient
        assert "99: DB" in str(raised.value)


async def test_flushed_scripts_are_loaded_again(own_valkey: Valkey) -> None:
    """NOSCRIPT is nothing that anybody sees."""
    async with publishing(own_valkey.url) as catalog:
        await catalog.poll(1)
        asked(own_valkey, "SCRIPT FLUSH")
        await catalog.poll(2)
        assert await catalog.events() == [1, 2]


async def test_a_server_that_runs_a_long_script(own_valkey: Valkey) -> None:
    """BUSY passes."""
    asked(own_valkey, "CONFIG SET", "busy-reply-threshold", "10")
    async with publishing(own_valkey.url) as catalog, own_valkey.client() as other:
        busy = asyncio.ensure_future(other.eval("while true do end", 0))
        await eventually(partial(is_busy, own_valkey))
        error = await catalog.refused(1)
        asked(own_valkey, "SCRIPT KILL")
        with pytest.raises(redis.exceptions.ResponseError):
            await busy
        assert error.is_transient
        assert "wait, or end it with SCRIPT KILL" in str(error)
        await catalog.poll(1)


async def is_busy(server: Valkey) -> bool:
    try:
        asked(server, "PING")
    except redis.exceptions.ResponseError:
        return True
    return False


async def test_a_server_that_loads(folder: Path) -> None:
    """LOADING passes, also for a consumer; what was published is there afterwards."""
    slow = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    with Valkey(folder, *slow) as server:
        async with publishing(server.url) as catalog, following(server.url) as stream:
            await catalog.poll(1)
            await catalog.client.mset({f"key{n}": random.randbytes(2000) for n in range(100)})
            asked(server, "BGREWRITEAOF")
            await eventually(partial(is_rewritten, server))
            server.kill()
            server.launch()
            await eventually(partial(is_loading, server))
            error = await catalog.refused(2)
            assert error.is_transient
            assert "it is reading its files" in str(error)
            entries, _meta = await stream.read_with_meta("0-0")
            assert len(entries) == 1
            assert await answers(server)
            await catalog.poll(2)
            assert await catalog.events() == [1, 2]


async def is_rewritten(server: Valkey) -> bool:
    about = asked(server, "INFO", "persistence")
    return bool(about["aof_rewrites"] and not about["aof_rewrite_in_progress"])


async def is_loading(server: Valkey) -> bool:
    try:
        asked(server, "PING")
    except redis.exceptions.BusyLoadingError:
        return True
    except redis.exceptions.ConnectionError:
        pass
    return False


async def answers(server: Valkey) -> bool:
    try:
        return bool(asked(server, "PING"))
    except redis.exceptions.BusyLoadingError:
        return False


async def test_who_does_not_wait_for_a_lost_primary(own_valkey: Valkey) -> None:
    """MASTERDOWN, told to a consumer with --once."""
    async with publishing(own_valkey.url) as catalog:
        await catalog.poll(2)
        follow(own_valkey, stale=False)
        async with connect(Server(own_valkey.url), "us", once=True) as stream:
            with pytest.raises(RedisError, match="it is a replica that has lost its primary"):
                await stream.snapshot()


async def test_a_reader_that_is_unblocked(own_valkey: Valkey) -> None:
    """UNBLOCKED, said to who waits for events while the server becomes a replica, passes."""
    patient = Timing(block=30.0)
    async with (
        publishing(own_valkey.url) as catalog,
        connect(Server(own_valkey.url), "us", once=False, timing=patient) as stream,
    ):
        await catalog.poll(2)
        newest = (await stream.read("0-0", wait=False))[-1].offset
        reading = asyncio.ensure_future(stream.read(newest, wait=True))
        await eventually(partial(is_waited_for, own_valkey))
        follow(own_valkey, stale=True)
        lead(own_valkey)
        await catalog.poll(3)
        assert len(await reading) == 1
        assert times_said({"UNBLOCKED"}, own_valkey) == 1


async def is_waited_for(server: Valkey) -> bool:
    return bool(asked(server, "INFO", "clients")["blocked_clients"])


async def test_after_readonly_the_server_is_looked_for_anew(own_valkey: Valkey) -> None:
    """The next command goes over a new connection, as its name may lead elsewhere by now."""
    async with publishing(own_valkey.url) as catalog:
        await catalog.poll(1)
        before = await catalog.client.client_id()
        CASES["READONLY"].begin(own_valkey)
        await catalog.refused(2)
        assert await catalog.client.client_id() != before


@pytest.mark.parametrize(
    "strike",
    [pytest.param("request dropped", id="before"), pytest.param("reply dropped", id="after")],
)
async def test_a_connection_that_is_cut_around_a_commit(own_valkey: Valkey, strike: Strike) -> None:
    """Before the server executed it or after: it is done once."""
    async with (
        proxied(own_valkey.port) as proxy,
        publishing(f"redis://127.0.0.1:{proxy.port}") as catalog,
    ):
        await catalog.poll(2)
        proxy.strike(b"EVALSHA", strike)
        assert (await catalog.poll(5)).counts.added == 3
        assert proxy.struck == 1
        assert await catalog.events() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("MASTERDOWN Link with MASTER is down", "MASTERDOWN"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
        ("UNBLOCKED force unblock from blocking operation", "UNBLOCKED"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
        ("NOSCRIPT No matching script.", "NOSCRIPT"),
    ],
)
def test_an_error_is_known_by_its_first_word(reply: str, code: str) -> None:
    """In a pipeline too, where redis-py writes something before it."""
    error = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]
    assert error_advice.advice_for(error) is error_advice.BY_CODE[code]
    error.args = (f"Command # 1 (HSET x) of pipeline caused error: {error.args[0]}",)
    assert error_advice.advice_for(error) is error_advice.BY_CODE[code]


async def test_nobody_listens() -> None:
    """An outage passes; its address is told."""
    server = Server(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(Exception, match="is it running, and is redis_url right") as raised:
        await check_server(server)
    assert raised.value.is_transient  # type: ignore[attr-defined]
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (redis.exceptions.ConnectionError("refused"), True),
        (redis.exceptions.TimeoutError("no answer"), True),
        (redis.exceptions.BusyLoadingError("reads its file"), True),
        (redis.exceptions.MasterDownError("its primary is down"), True),
        (ConnectionResetError("reset"), True),
        (redis.exceptions.ResponseError("BUSY Valkey is busy running a script."), True),
        (redis.exceptions.ResponseError("OOM command not allowed"), False),
        (redis.exceptions.AuthenticationError("WRONGPASS"), False),
        (redis.exceptions.NoPermissionError("NOPERM"), False),
        (redis.exceptions.ResponseError("ERR unknown command"), False),
        (ValueError("a bug"), False),
    ],
)
def test_which_errors_are_transient_for_reads(error: Exception, is_transient: bool) -> None:  # noqa: FBT001
    """Those of the server's health, but not refusals, and not those that concern writes only."""
    assert is_transient_for_reads(error) is is_transient


def test_a_wrong_type_is_recognized_in_a_pipeline_too() -> None:
    """A message of our own that contains the word is none."""
    reply = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert is_wrong_type(redis.exceptions.ResponseError(reply))
    in_pipeline = f"Command # 1 (HSET x) of pipeline caused error: {reply}"
    assert is_wrong_type(redis.exceptions.ResponseError(in_pipeline))
    assert not is_wrong_type(redis.exceptions.ResponseError("ERR unknown command"))
    assert not is_wrong_type(RedisError(reply))
