"""The process of the embedded server: its start and its end (contract, 7)."""

import asyncio
from pathlib import Path

import pytest

from plumbing.errors import EmbeddedServerError
from plumbing.redis.embedded_process import EmbeddedProcess
from tests.plumbing.redis.embedded_servers import embedded_servers
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


async def test_a_cancelled_start_leaves_no_process(folder: Path) -> None:
    """A server that nobody waits for would run for ever."""
    process = EmbeddedProcess(folder, port=0)
    start = asyncio.create_task(process.start())
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert embedded_servers(folder) == []
