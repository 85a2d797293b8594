"""The sandbox as a server: its port, and how it stops."""

import asyncio

import aiohttp
import pytest

from publisher.sandbox import CannotListen, Fault, Sandbox, SandboxOptions
from tests.publisher.sandbox.caller import CATEGORIES, Caller, faulty, sandbox_caller
from tests.support.messages import whole
from tests.support.waiting import eventually, patience

SMALL = SandboxOptions(categories=60)


async def test_a_taken_port_is_one_clear_error() -> None:
    """The message names the port and what to do."""
    async with Sandbox(SMALL) as first:
        second = Sandbox(SandboxOptions(port=first.port, categories=60))
        with pytest.raises(CannotListen, match=rf"port {first.port}: another program.*--port"):
            await second.__aenter__()


async def test_an_impossible_port_is_one_clear_error() -> None:
    """A number above 65535 is not a port."""
    with pytest.raises(
        CannotListen,
        match=whole(
            "the sandbox cannot listen on 127.0.0.1, port 70000: a port is a number up to "
            "65535; choose another with --port"
        ),
    ):
        await Sandbox(SandboxOptions(port=70_000, categories=60)).__aenter__()


async def test_it_stops_at_once_while_an_answer_is_slow() -> None:
    """Leaving the context ends requests that would take long; their connections close."""
    loop = asyncio.get_running_loop()
    async with sandbox_caller(faulty("slow=60")) as caller:
        task = asyncio.create_task(caller.signed())
        await eventually(lambda: _has_request(caller))
        start = loop.time()
        await caller.sandbox.__aexit__(None, None, None)
        assert loop.time() - start < patience(5)
        with pytest.raises(aiohttp.ClientError):
            await task


async def _has_request(caller: Caller) -> bool:
    return caller.sandbox.api.requests[CATEGORIES] > 0


async def test_faults_can_be_replaced_while_it_runs() -> None:
    """A test can start an outage and end it."""
    async with sandbox_caller(faulty()) as caller:
        assert (await caller.signed()).code == 0
        caller.sandbox.api.faults = [Fault.parse("code=36009003")]
        assert (await caller.signed()).code == 36009003
        caller.sandbox.api.faults.clear()
        assert (await caller.signed()).code == 0
