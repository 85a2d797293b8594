"""The embedded server starts and stops with its users (contract, 7).

It keeps running for as long as it has users.
"""

import asyncio
import os
import socket
import stat
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis.asyncio
import redis.exceptions
import structlog.testing
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from plumbing.errors import EmbeddedServerError
from plumbing.redis import embedded, embedded_process
from plumbing.redis.embedded import open_embedded_server
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.embedded_process import EmbeddedProcess
from tests.plumbing.redis.embedded_servers import embedded_servers
from tests.support import full_disk
from tests.support.messages import whole
from tests.support.waiting import eventually

pytestmark = pytest.mark.contract("7")


async def is_running(folder: Path) -> bool:
    client = redis.asyncio.Redis(
        unix_socket_path=str(folder / embedded_process.SOCKET),
        protocol=2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(await client.ping())
    except redis.exceptions.RedisError:
        return False
    finally:
        await client.aclose()


def server_of(folder: Path) -> psutil.Process:
    """Return the process of the server in `folder`."""
    (found,) = embedded_servers(folder)
    return found


async def test_runs_as_long_as_it_is_used(folder: Path) -> None:
    """Its first user starts it, and its last one stops it.

    The last one need not be the one that started it.
    """
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED))
        await second.enter_async_context(open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED))
        await first.aclose()
        assert await is_running(folder)
    assert not await is_running(folder)


async def test_its_last_user_leaves_no_process(folder: Path) -> None:
    """It has ended before the last user goes on, so that the folder may be removed."""
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
        server = server_of(folder)
        server.suspend()
        threading.Timer(0.2, server.resume).start()  # so that its end takes a while
    assert not server.is_running()


async def test_keeps_running_for_another_client(folder: Path) -> None:
    """It is not stopped while any client is connected."""
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url:
        foreign = redis.asyncio.Redis.from_url(url, single_connection_client=True, protocol=2)
        await foreign.ping()
    assert await foreign.ping()
    await foreign.aclose()
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
        pass
    assert not await is_running(folder)


async def test_data_survive_a_restart(folder: Path) -> None:
    """It has an append-only file."""
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("k", "v")
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        assert await client.get("k") == b"v"


async def test_keep_running_starts_it_again(folder: Path) -> None:
    """After a kill it runs again within seconds, with its data."""
    async with (
        open_embedded_server(folder, EmbeddedMode.KEEP_RUNNING) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("k", "v")
        server_of(folder).kill()
        await eventually(lambda: is_running(folder))
        assert await client.get("k") == b"v"
    assert not await is_running(folder)


@pytest.mark.parametrize("mode", EmbeddedMode)
async def test_only_a_mode_keeps_it_running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: EmbeddedMode
) -> None:
    """The keeper ends before the server is stopped; else it would start it again."""
    steps = []

    async def keep_running(_user: Any) -> None:
        steps.append("kept")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append(f"ended with {len(embedded_servers(folder))}")

    monkeypatch.setattr(embedded._EmbeddedServerUser, "keep_running", keep_running)
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
        async with open_embedded_server(folder, mode):
            await asyncio.sleep(0)
        steps.append("closed")
    kept = ["kept", "ended with 1"] if mode is EmbeddedMode.KEEP_RUNNING else []
    assert steps == [*kept, "closed"]


async def test_its_files_are_for_its_user_only(folder: Path) -> None:
    """Whatever the permissions of new files are: it has no password."""
    umask = os.umask(0)
    try:
        async with open_embedded_server(folder / "data", EmbeddedMode.START_IF_NEEDED):
            found = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in [folder / "data", *(folder / "data").glob("redis.*")]
            }
    finally:
        os.umask(umask)
    assert found == {"data": 0o700, "redis.lock": 0o600, "redis.log": 0o600, "redis.sock": 0o700}


async def test_a_server_that_never_answers_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends; the message names the socket and the log."""
    assert embedded.START_SECONDS <= 60
    monkeypatch.setattr(embedded, "START_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "redis.sock"))
        silent.listen()
        user = embedded._EmbeddedServerUser(folder, 0)
        with pytest.raises(
            EmbeddedServerError,
            match=whole(
                "the embedded server on <any>/redis.sock does not answer within 0 s: see "
                "<any>/redis.log"
            ),
        ):
            await user.connect(start=True)
        await user._connection.aclose()
    assert embedded_servers(folder) == []


async def test_a_keeper_that_fails_tries_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It logs an outage when it begins and why it lasts, not each attempt."""
    monkeypatch.setattr(embedded, "CHECK_SECONDS", 0.001)
    user = embedded._EmbeddedServerUser(folder, 0)
    attempts = 0

    async def connect(*, start: bool) -> None:
        nonlocal attempts
        attempts += start
        if attempts < 4:
            raise EmbeddedServerError("no space")
        monkeypatch.setattr(user._process, "is_listening", lambda: True)

    monkeypatch.setattr(user, "connect", connect)
    with structlog.testing.capture_logs() as logged:
        keeper = asyncio.create_task(user.keep_running())
        await eventually(lambda: asyncio.sleep(0, attempts == 4))
        keeper.cancel()
        await asyncio.wait([keeper])
    assert attempts == 4
    assert [(entry["event"], entry.get("error")) for entry in logged] == [
        ("embedded server stopped, starting it again", None),
        ("embedded server cannot be started, retrying", "no space"),
    ]


async def test_wait_starts_none(folder: Path) -> None:
    """A consumer continues once another command has started it."""

    async def wait_and_ping() -> bool:
        async with (
            open_embedded_server(folder, EmbeddedMode.WAIT) as url,
            redis.asyncio.Redis.from_url(url) as client,
        ):
            return bool(await client.ping())

    with structlog.testing.capture_logs() as logged:
        waiting = asyncio.create_task(wait_and_ping())
        await eventually(lambda: asyncio.sleep(0, bool(logged)))
    assert [entry["event"] for entry in logged] == ["embedded server not running, waiting"]
    assert embedded_servers(folder) == []
    async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
        assert await waiting


async def test_many_users_at_once_share_one_server(folder: Path) -> None:
    """It stops after the last of them."""

    async def use() -> None:
        async with (
            open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
            redis.asyncio.Redis.from_url(url) as client,
        ):
            await client.incr("visits")

    await asyncio.gather(*(use() for _ in range(10)))
    assert not await is_running(folder)
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        assert await client.get("visits") == b"10"


async def test_refuses_a_path_too_long_for_a_socket(folder: Path) -> None:
    """The message says what to do."""
    with pytest.raises(EmbeddedServerError, match="choose a shorter data_dir"):
        async with open_embedded_server(folder / ("x" * 100), EmbeddedMode.START_IF_NEEDED):
            pass


async def test_refuses_a_data_dir_that_cannot_be_created(folder: Path) -> None:
    """A file has its name."""
    (folder / "data").write_text("")
    with pytest.raises(
        EmbeddedServerError, match=whole("data_dir <any>/data cannot be used: File exists")
    ):
        async with open_embedded_server(folder / "data", EmbeddedMode.START_IF_NEEDED):
            pass


async def test_reports_damaged_files(folder: Path) -> None:
    """The message quotes the server, and names its log."""
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("k", "v")
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("rubbish\n")
    with pytest.raises(EmbeddedServerError, match=r"exit code 1: .*redis\.log"):
        async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
            pass


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return the results of all checks whether a server listens, which are done often."""
    monkeypatch.setattr(embedded, "CHECK_SECONDS", 0.01)
    results: list[bool] = []
    is_listening = EmbeddedProcess.is_listening

    def recorded(process: EmbeddedProcess) -> bool:
        results.append(is_listening(process))
        return results[-1]

    monkeypatch.setattr(EmbeddedProcess, "is_listening", recorded)
    return results


async def checked_again(checks: list[bool]) -> None:
    """Wait until the server was checked two more times."""
    wanted = len(checks) + 2

    async def is_checked() -> bool:
        return len(checks) >= wanted

    await eventually(is_checked)


async def wait_until_files_are(written: str, client: redis.asyncio.Redis) -> None:
    """Return once the server reports this state of its append-only file."""

    async def are_so() -> bool:
        info: dict[str, Any] = await client.info("persistence")
        return bool(info["aof_last_write_status"] == written)

    await eventually(are_so)


async def use_until_its_disk_is_full(folder: Path) -> None:
    """Use the server; what is written last is in its memory only."""
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("first", "v")
        full_disk.fill_process(server_of(folder).pid, folder)
        await client.set("last", "v" * 1000)
        await wait_until_files_are("err", client)


async def test_is_not_stopped_while_its_files_cannot_be_written(folder: Path) -> None:
    """Its last user gets an error that says what to do; then nothing is lost."""
    with pytest.raises(EmbeddedServerError) as caught:
        await use_until_its_disk_is_full(folder)
    assert str(caught.value) == (
        f"the embedded server cannot write to its files in {folder}: what was written last is in "
        "its "
        "memory only, so it is left running: make room on that disk, then run any command again"
    )
    full_disk.make_room_for(server_of(folder).pid)
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await wait_until_files_are("ok", client)
    assert embedded_servers(folder) == []
    async with (
        open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        assert await client.mget("first", "last") == [b"v", b"v" * 1000]


async def test_starts_no_second_server_while_it_is_busy(folder: Path, checks: list[bool]) -> None:
    """Two servers would corrupt the same files: all its users wait."""
    async with (
        open_embedded_server(folder, EmbeddedMode.KEEP_RUNNING) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.config_set("busy-reply-threshold", 10)
        busy: asyncio.Task[Any] = asyncio.create_task(
            client.eval(
                "local t = redis.call('TIME')[1] + 3 repeat until redis.call('TIME')[1] + 0 > t", 0
            )  # type: ignore[arg-type]
        )
        await checked_again(checks)
        server_of(folder)
        async with open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED):
            server_of(folder)
        await busy
        assert await client.ping()
        server_of(folder)


async def test_starts_no_second_server_while_it_is_suspended(
    folder: Path, checks: list[bool]
) -> None:
    """It does not answer for a while."""
    async with (
        open_embedded_server(folder, EmbeddedMode.KEEP_RUNNING) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        server = server_of(folder)
        server.suspend()
        await checked_again(checks)
        assert server_of(folder) == server
        server.resume()
        assert await client.ping()
