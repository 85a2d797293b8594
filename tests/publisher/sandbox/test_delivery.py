"""The transfer of a body: compressed, late, in pieces, or broken off."""

import asyncio

import aiohttp
import orjson
import pytest

from publisher.sandbox import SandboxOptions
from tests.publisher.sandbox.caller import faulty, sandbox_caller


async def test_clients_that_accept_gzip_get_it() -> None:
    """Compressed or not, it is the same list."""
    async with sandbox_caller(SandboxOptions(categories=300, advance="command")) as caller:
        plain = await caller.signed(headers={"Accept-Encoding": "identity"})
        packed = await caller.signed(headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert int(packed.headers["Content-Length"]) < len(plain.body) / 2
        assert packed.rows == plain.rows


async def test_slow_and_drip_send_complete_answers_late() -> None:
    """The answer comes late, or piece by piece, but all of it."""
    async with sandbox_caller(faulty("slow=0.2@1", "drip=0.4@2")) as caller:
        loop = asyncio.get_running_loop()
        for at_least in (0.2, 0.38):
            start = loop.time()
            assert len((await caller.signed()).rows) == len(caller.sandbox.api.served)
            assert loop.time() - start >= at_least


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_cut_closes_the_connection_in_the_middle(encoding: str) -> None:
    """The Content-Length was sent, then the connection is gone."""
    async with sandbox_caller(faulty("cut")) as caller:
        with pytest.raises(aiohttp.ClientPayloadError):
            await caller.signed(headers={"Accept-Encoding": encoding})
        assert caller.sandbox.api.served == []


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_truncate_is_proper_http_with_half_of_the_json(encoding: str) -> None:
    """Only a parser notices that half of the JSON is missing."""
    async with sandbox_caller(faulty("truncate@1")) as caller:
        reply = await caller.signed(headers={"Accept-Encoding": encoding})
        assert reply.status == 200
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(reply.body)
        assert caller.sandbox.api.served == []
