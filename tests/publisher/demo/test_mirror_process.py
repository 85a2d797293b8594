"""The demo's consumer, and when its copy counts as up to date."""

import asyncio
import os
from pathlib import Path

import orjson
import pytest

from publisher.core.event import Position
from publisher.demo.mirror_process import MirrorProcess
from publisher.errors import CopyDiffers
from tests.support.messages import whole
from tests.support.valkey import Valkey

POSITION = Position("9f3c1a2b", 3, 0x0F1E2D3C4B5A6978)


async def test_a_consumer_that_has_ended_is_reported(folder: Path, valkey: Valkey) -> None:
    """The error has the consumer's own words, so that nobody waits for it in vain."""
    (folder / "publisher.toml").write_text("no configuration")
    async with MirrorProcess(folder, "demo").running() as mirror, valkey.client() as client:
        with pytest.raises(
            CopyDiffers,
            match=whole(
                "the consumer ended with 2: error: <any>/publisher.toml: is not TOML: Expected "
                "'=' after a key in a key/value pair (at line 1, column 4)"
            ),
        ):
            await mirror.wait_until_at(client, POSITION)


async def test_it_waits_for_the_position(folder: Path, valkey: Valkey) -> None:
    """A checkpoint at the same epoch, sequence and digest ends the wait."""
    checkpoint = {"epoch": "9f3c1a2b", "sequence": 3, "digest": "0f1e2d3c4b5a6978"}
    mirror = MirrorProcess(folder, "demo")
    async with valkey.client() as client:
        await client.hset("catalog:{demo}:consumers", "mirror", orjson.dumps(checkpoint))
        await mirror.wait_until_at(client, POSITION)
        checkpoint["digest"] = "0" * 16
        await client.hset("catalog:{demo}:consumers", "mirror", orjson.dumps(checkpoint))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await mirror.wait_until_at(client, POSITION)
        await client.flushall()


async def test_ctrl_c_does_not_reach_the_consumer(folder: Path) -> None:
    """It is in a session of its own, so that the demo stops it in order."""
    async with MirrorProcess(folder, "demo").running() as mirror:
        process = mirror._process
        assert process is not None
        assert os.getsid(process.pid) == process.pid
