"""The process of the embedded server: its start and its end (contract, 7)."""

import asyncio
import os
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
import redis.asyncio

from plumbing.errors import EmbeddedServerError
from plumbing.redis.embedded_process import EmbeddedProcess
from plumbing.redis.replies import as_texts
from tests.plumbing.redis.embedded_servers import embedded_servers
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.contract("7")


async def test_listens_from_its_start_to_its_end(folder: Path) -> None:
    """Another user of the same folder sees the same."""
    process, other = EmbeddedProcess(folder, port=0), EmbeddedProcess(folder, port=0)
    assert not process.is_listening()
    await process.start()
    assert process.is_listening()
    assert other.is_listening()
    process.raise_if_ended()
    (child,) = embedded_servers(folder)
    child.terminate()
    await process.wait_for_end()
    assert not other.is_listening()
    assert embedded_servers(folder) == []


async def test_reports_the_end_once(folder: Path) -> None:
    """Then there is no process of which the end could be reported."""
    process = EmbeddedProcess(folder, port=0)
    await process.start()
    (child,) = embedded_servers(folder)
    child.kill()

    async def message() -> str:
        try:
            process.raise_if_ended()
        except EmbeddedServerError as error:
            return str(error)
        return ""

    end = await eventually(message)
    assert "exit code -9: " in end
    assert "redis.log" in end
    assert await message() == ""


async def test_a_cancelled_start_leaves_no_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that nobody waits for would run for ever."""
    monkeypatch.setattr(EmbeddedProcess, "is_listening", lambda _: False)  # it may be quick
    process = EmbeddedProcess(folder, port=0)
    start = asyncio.create_task(process.start())
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert embedded_servers(folder) == []


SETTINGS = (
    *("bind", "port", "unixsocket", "unixsocketperm", "dir"),
    *("save", "appendonly", "appendfsync"),
)


async def run_once(folder: Path, **options: int) -> tuple[psutil.Process, dict[str, str]]:
    """Start a server, end it; return its process as it was, and its settings."""
    process = EmbeddedProcess(folder, **{"port": 0, **options})
    await process.start()
    child = psutil.Process(process._child)
    assert os.getsid(child.pid) == child.pid
    async with redis.asyncio.Redis(unix_socket_path=str(process.socket), protocol=2) as client:
        settings = as_texts(await client.config_get(*SETTINGS))
    child.terminate()
    await process.wait_for_end()
    return child, settings


async def test_how_it_runs(folder: Path) -> None:
    """On loopback alone, with an append-only file, in a session of its own."""
    port = free_port()
    _, settings = await run_once(folder, port=port)
    wanted = {
        "bind": "127.0.0.1",
        "port": str(port),
        "unixsocket": str(folder / "redis.sock"),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "unixsocketperm": "700",
    }
    assert settings == wanted
    assert (await run_once(folder))[1]["port"] == "0"


async def test_leaves_no_zombie(folder: Path) -> None:
    """Who waits for its end has also read its exit code."""
    child, _ = await run_once(folder)
    assert not psutil.pid_exists(child.pid)


async def test_its_log_is_for_its_user_only_and_grows(folder: Path) -> None:
    """Whatever the permissions of new files are; it may have names of catalogs."""
    (folder / "redis.log").touch(0o600)
    (folder / "redis.log").write_text("before\n")
    await run_once(folder)
    assert (folder / "redis.log").read_text().startswith("before\n")
    (folder / "redis.log").unlink()
    umask = os.umask(0)
    try:
        await run_once(folder)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((folder / "redis.log").stat().st_mode) == 0o600


async def message_of_end(process: EmbeddedProcess) -> str:
    """Return the error once the process has ended."""

    async def message() -> str:
        try:
            process.raise_if_ended()
        except EmbeddedServerError as error:
            return str(error)
        return ""

    return await eventually(message)


@pytest.mark.parametrize("logged", ["first\nlast\n\n", ""])
async def test_quotes_only_what_this_process_logged(folder: Path, logged: str) -> None:
    """Its last line; an earlier process may have ended for another reason."""
    (folder / "redis.log").write_text("an older reason\n")
    process = EmbeddedProcess(folder, port=0)
    await process.start()
    (child,) = embedded_servers(folder)
    log = folder / "redis.log"
    log.write_text(log.read_text() + logged if logged else "an older reason\n")
    child.kill()
    assert await message_of_end(process) == (
        "the embedded server ended with exit code -9: "
        f"{'last' if logged else 'it logged nothing'} (more in {log})"
    )


@pytest.mark.parametrize(
    ("name", "is_accepted"),
    [("x" * 95, True), ("x" * 96, False), ("x" + "ü" * 47, True), ("ü" * 48, False)],
    ids=["107", "108", "107 with umlauts", "108 with umlauts"],
)
def test_the_longest_path_of_a_socket(name: str, *, is_accepted: bool) -> None:
    """107 bytes, however many characters that is."""
    path = Path("/") / name
    if is_accepted:
        EmbeddedProcess(path, port=0)
    else:
        with pytest.raises(EmbeddedServerError, match="choose a shorter data_dir"):
            EmbeddedProcess(path, port=0)


def test_a_socket_that_nobody_listens_on(folder: Path) -> None:
    """A server that was killed leaves it behind."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(folder / "redis.sock"))
    assert not EmbeddedProcess(folder, port=0).is_listening()


def test_a_server_with_a_full_queue_listens(folder: Path) -> None:
    """It is slow or suspended, and a second one would corrupt its files."""
    with ExitStack() as stack:
        slow = stack.enter_context(socket.socket(socket.AF_UNIX))
        slow.bind(str(folder / "redis.sock"))
        slow.listen(0)
        with suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(folder / "redis.sock"))
        assert EmbeddedProcess(folder, port=0).is_listening()
