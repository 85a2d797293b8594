"""Each error of a real server has its advice, and no partial write.

Both sides continue after it.
"""

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
from tests.plumbing.redis.published_catalog import open_consumer, published_catalog
from tests.support import full_disk
from tests.support.messages import whole
from tests.support.ports import free_port
from tests.support.proxy import Strike, proxied
from tests.support.redis_servers import execute_on, is_answered_again, times_answered
from tests.support.valkey import Valkey
from tests.support.waiting import eventually, eventually_now

Act = Callable[[Valkey], object]


Consumer = Literal["reads", "waits", "fails"]

LOGIN: Final = "?username=ours&password=hunter2"


class Case(NamedTuple):
    """A server that refuses commands, and what a consumer does.

    It also has how the refusal starts and ends.
    """

    start: Act
    end: Act
    advice: str
    is_transient: bool
    consumer: Consumer = "reads"
    login: str = LOGIN


def config(name: str, value: str) -> Act:
    return lambda server: execute_on(server, "CONFIG SET", name, value)


def acl(*rules: str) -> Act:
    return lambda server: execute_on(server, "ACL SETUSER", "ours", *rules)


def lacking(command: str, consumer: Consumer) -> Case:
    """Refuse one command to our user."""
    advice = "let this user's ACL allow the command: see docs/security.md"
    return Case(
        acl(f"-{command}"), acl(f"+{command}"), advice, is_transient=False, consumer=consumer
    )


def make_replica(server: Valkey, *, stale: bool) -> None:
    """Make it a replica of a primary that does not run."""
    execute_on(server, "CONFIG SET", "replica-serve-stale-data", "yes" if stale else "no")
    execute_on(server, "REPLICAOF", "127.0.0.1", free_port())


def make_primary(server: Valkey) -> None:
    execute_on(server, "REPLICAOF", "NO", "ONE")


def fail_to_save(server: Valkey) -> None:
    """Put a folder where the server writes its dump."""
    (server.folder / "dump.rdb").mkdir()
    execute_on(server, "CONFIG SET", "save", "3600 1")
    execute_on(server, "BGSAVE")
    eventually_now(
        lambda: execute_on(server, "INFO", "persistence")["rdb_last_bgsave_status"] == "err"
    )


def save(server: Valkey) -> None:
    (server.folder / "dump.rdb").rmdir()
    execute_on(server, "BGSAVE")
    eventually_now(
        lambda: execute_on(server, "INFO", "persistence")["rdb_last_bgsave_status"] == "ok"
    )


CASES = {
    "READONLY": Case(
        partial(make_replica, stale=True),
        make_primary,
        "name the primary in redis_url",
        is_transient=True,
    ),
    "MASTERDOWN": Case(
        partial(make_replica, stale=False),
        make_primary,
        "it is a replica",  # READONLY to a publisher, which writes first
        is_transient=True,
        consumer="waits",
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
    "NOPERM evalsha": lacking("evalsha", "reads"),
    "NOPERM xadd": lacking("xadd", "reads"),
    "NOPERM hgetall": lacking("hgetall", "fails"),
    "NOAUTH": Case(
        config("requirepass", "hunter2"),
        lambda server: redis.Redis(
            unix_socket_path=str(server.socket), password="hunter2", protocol=2
        ).config_set("requirepass", ""),
        "check user name and password",
        is_transient=False,
        consumer="fails",
        login="",
    ),
    "WRONGPASS": Case(
        acl("resetpass", ">another"),
        acl("resetpass", ">hunter2"),
        "check user name and password",
        is_transient=False,
        consumer="fails",
    ),
}


@pytest.mark.contract("5.1")
@pytest.mark.parametrize("name", CASES)
async def test_a_refusal_leaves_no_partial_write(own_valkey: Valkey, name: str) -> None:
    """The error names the server and what to do; the next poll continues."""
    case = CASES[name]
    execute_on(own_valkey, "ACL SETUSER", "ours", "on", ">hunter2", "~*", "+@all")
    url = own_valkey.url + case.login
    async with published_catalog(url) as catalog, open_consumer(url) as stream:
        await catalog.poll(2)
        case.start(own_valkey)
        await catalog.client.aclose()  # only new connections log in
        error = await catalog.poll_error(4)
        assert case.advice in str(error)
        assert "hunter2" not in str(error)
        assert error.is_transient is case.is_transient
        reading = asyncio.ensure_future(stream.read_with_meta("0-0"))
        await until_settled(reading, own_valkey, case)
        case.end(own_valkey)
        if case.consumer != "fails":
            assert len((await reading)[0]) == 2
        assert times_answered({name.partition(" ")[0]}, own_valkey)
        assert await catalog.sequences() == [1, 2]
        assert (await catalog.poll(4)).counts.added == 2
        assert await catalog.sequences() == [1, 2, 3, 4]


async def until_settled(reading: asyncio.Future[Any], server: Valkey, case: Case) -> None:
    """Return once the consumer does what `case` expects of it."""
    if case.consumer == "waits":
        earlier = times_answered({"MASTERDOWN"}, server)
        await eventually(partial(is_answered_again, earlier, {"MASTERDOWN"}, server))
        assert not reading.done()
    elif case.consumer == "fails":
        with pytest.raises(RedisError, match=case.advice):
            await reading
    else:
        await reading


@pytest.mark.contract("5.1")
async def test_a_full_disk_loses_no_commit(folder: Path) -> None:
    """A full disk (MISCONF) neither loses nor duplicates a commit.

    The append-only file cannot grow. A limit on the size of the server's files (RLIMIT_FSIZE)
    replaces the disk.
    """
    with Valkey(folder, binary=full_disk.deaf(folder)) as server:
        async with published_catalog(server.url) as catalog, open_consumer(server.url) as stream:
            await catalog.poll(2)
            full_disk.fill(server)
            assert (await catalog.poll(4)).counts.added == 2  # in memory; then the file is cut
            error = await catalog.poll_error(5)
            assert error.is_transient
            assert "it cannot write to its disk: make room there" in str(error)
            assert len(await stream.read("0-0", wait=False)) == 4
            full_disk.make_room(server)
            await eventually(partial(is_written, server))
            await catalog.poll(5)
        server.kill()
        server.start()
        async with published_catalog(server.url) as catalog:
            assert await catalog.sequences() == [1, 2, 3, 4, 5]
            assert (await catalog.poll(5)).outcome == "unchanged"


@pytest.mark.contract("5.1")
async def test_publishes_a_commit_again_that_a_crash_on_a_full_disk_lost(folder: Path) -> None:
    """The lost commit was in the server's memory only."""
    with Valkey(folder, binary=full_disk.deaf(folder)) as server:
        async with published_catalog(server.url) as catalog:
            await catalog.poll(2)
            full_disk.fill(server)
            await catalog.poll(4)
            await catalog.poll_error(5)
        server.kill()
        server.start()
        async with published_catalog(server.url) as catalog:
            assert await catalog.sequences() == [1, 2]
            assert (await catalog.poll(5)).counts.added == 3
            assert await catalog.sequences() == [1, 2, 3, 4, 5]


async def is_written(server: Valkey) -> bool:
    return bool(execute_on(server, "INFO", "persistence")["aof_last_write_status"] == "ok")


async def test_an_unknown_database_is_a_permanent_error(own_valkey: Valkey) -> None:
    """The server's answer is shown, on a Unix socket too."""
    for url in (f"{own_valkey.url}?db=99", own_valkey.tcp_url.replace("/0", "/99")):
        with pytest.raises(RedisError, match="DB index is out of range") as raised:
            await check_server(Server(url))
        assert not raised.value.is_transient
        assert "99: DB" in str(raised.value)


async def test_flushed_scripts_are_loaded_again(own_valkey: Valkey) -> None:
    """NOSCRIPT fails no poll."""
    async with published_catalog(own_valkey.url) as catalog:
        await catalog.poll(1)
        execute_on(own_valkey, "SCRIPT FLUSH")
        await catalog.poll(2)
        assert await catalog.sequences() == [1, 2]


async def test_a_long_script_is_a_transient_error(own_valkey: Valkey) -> None:
    """The server answers BUSY."""
    execute_on(own_valkey, "CONFIG SET", "busy-reply-threshold", "10")
    async with published_catalog(own_valkey.url) as catalog, own_valkey.client() as other:
        busy = asyncio.ensure_future(other.eval("while true do end", 0))
        await eventually(partial(is_busy, own_valkey))
        error = await catalog.poll_error(1)
        execute_on(own_valkey, "SCRIPT KILL")
        with pytest.raises(redis.exceptions.ResponseError):
            await busy
        assert error.is_transient
        assert "wait, or end it with SCRIPT KILL" in str(error)
        await catalog.poll(1)


async def is_busy(server: Valkey) -> bool:
    try:
        execute_on(server, "PING")
    except redis.exceptions.ResponseError:
        return True
    return False


async def test_a_server_that_loads_its_files_is_a_transient_error(folder: Path) -> None:
    """It answers LOADING. A consumer waits; no event is lost."""
    slow = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    with Valkey(folder, *slow) as server:
        async with published_catalog(server.url) as catalog, open_consumer(server.url) as stream:
            await catalog.poll(1)
            await catalog.client.mset({f"key{n}": random.randbytes(2000) for n in range(100)})
            execute_on(server, "BGREWRITEAOF")
            await eventually(partial(is_rewritten, server))
            server.kill()
            server.launch()
            await eventually(partial(is_loading, server))
            error = await catalog.poll_error(2)
            assert error.is_transient
            assert "it is reading its files" in str(error)
            entries, _meta = await stream.read_with_meta("0-0")
            assert len(entries) == 1
            assert await answers(server)
            await catalog.poll(2)
            assert await catalog.sequences() == [1, 2]


async def is_rewritten(server: Valkey) -> bool:
    info = execute_on(server, "INFO", "persistence")
    return bool(info["aof_rewrites"] and not info["aof_rewrite_in_progress"])


async def is_loading(server: Valkey) -> bool:
    try:
        execute_on(server, "PING")
    except redis.exceptions.BusyLoadingError:
        return True
    except redis.exceptions.ConnectionError:
        pass
    return False


async def answers(server: Valkey) -> bool:
    try:
        return bool(execute_on(server, "PING"))
    except redis.exceptions.BusyLoadingError:
        return False


async def test_a_consumer_with_once_does_not_wait_for_a_lost_primary(own_valkey: Valkey) -> None:
    """The server answers MASTERDOWN."""
    async with published_catalog(own_valkey.url) as catalog:
        await catalog.poll(2)
        make_replica(own_valkey, stale=False)
        async with connect(Server(own_valkey.url), "us", once=True) as stream:
            with pytest.raises(
                RedisError,
                match=whole(
                    "Redis at unix://<any>/s: Command # 1 (HGETALL catalog:{us}:meta) of pipeline "
                    'caused error: ("Link with MASTER is down and replica-serve-stale-data is set '
                    "to 'no'.\",) (it is a replica that has lost its primary)"
                ),
            ):
                await stream.snapshot()


async def test_an_unblocked_consumer_continues(own_valkey: Valkey) -> None:
    """It waits for events while the server becomes a replica, which answers UNBLOCKED."""
    patient = Timing(block=30.0)
    async with (
        published_catalog(own_valkey.url) as catalog,
        connect(Server(own_valkey.url), "us", once=False, timing=patient) as stream,
    ):
        await catalog.poll(2)
        newest = (await stream.read("0-0", wait=False))[-1].offset
        reading = asyncio.ensure_future(stream.read(newest, wait=True))
        await eventually(partial(has_blocked_client, own_valkey))
        make_replica(own_valkey, stale=True)
        make_primary(own_valkey)
        await catalog.poll(3)
        assert len(await reading) == 1
        assert times_answered({"UNBLOCKED"}, own_valkey) == 1


async def has_blocked_client(server: Valkey) -> bool:
    return bool(execute_on(server, "INFO", "clients")["blocked_clients"])


async def test_connects_again_after_readonly(own_valkey: Valkey) -> None:
    """The name of the server may lead to another one by now."""
    async with published_catalog(own_valkey.url) as catalog:
        await catalog.poll(1)
        before = await catalog.client.client_id()
        CASES["READONLY"].start(own_valkey)
        await catalog.poll_error(2)
        assert await catalog.client.client_id() != before


@pytest.mark.contract("5.1")
@pytest.mark.parametrize(
    "strike",
    [pytest.param("request dropped", id="before"), pytest.param("reply dropped", id="after")],
)
async def test_a_commit_survives_a_lost_connection(own_valkey: Valkey, strike: Strike) -> None:
    """Whether the server executed it before the loss or not, it is executed once."""
    async with (
        proxied(own_valkey.port) as proxy,
        published_catalog(f"redis://127.0.0.1:{proxy.port}") as catalog,
    ):
        await catalog.poll(2)
        proxy.strike(b"EVALSHA", strike)
        assert (await catalog.poll(5)).counts.added == 3
        assert proxy.struck == 1
        assert await catalog.sequences() == [1, 2, 3, 4, 5]


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
def test_recognizes_an_error_by_its_first_word(reply: str, code: str) -> None:
    """In a pipeline too, where redis-py prepends text."""
    error = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]
    assert error_advice.advice_for(error) is error_advice.BY_CODE[code]
    error.args = (f"Command # 1 (HSET x) of pipeline caused error: {error.args[0]}",)
    assert error_advice.advice_for(error) is error_advice.BY_CODE[code]


async def test_an_unreachable_server_is_a_transient_error() -> None:
    """The message asks what to check, and shows no password."""
    server = Server(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(RedisError, match="is it running, and is redis_url right") as raised:
        await check_server(server)
    assert raised.value.is_transient
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
    """Errors of the server's health are transient for reads.

    Refusals, and errors that concern writes only, are not.
    """
    assert is_transient_for_reads(error) is is_transient


def test_a_wrong_type_is_recognized_in_a_pipeline_too() -> None:
    """A message of our own that contains the word is none."""
    reply = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert is_wrong_type(redis.exceptions.ResponseError(reply))
    in_pipeline = f"Command # 1 (HSET x) of pipeline caused error: {reply}"
    assert is_wrong_type(redis.exceptions.ResponseError(in_pipeline))
    assert not is_wrong_type(redis.exceptions.ResponseError("ERR unknown command"))
    assert not is_wrong_type(RedisError(reply))
