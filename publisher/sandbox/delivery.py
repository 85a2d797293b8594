"""The way of a body to the client, with what can happen to it on the way."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from publisher.sandbox.body import Piece, gzipped, joined
from publisher.sandbox.faults import Fault
from publisher.sandbox.responses import JSON

DRIPS: Final = 20
"""Into so many pieces a dripping body is cut."""


async def deliver(
    request: web.Request,
    pieces: Sequence[Piece],
    faults: Mapping[str, Fault],
    arrived: Callable[[], None],
) -> web.StreamResponse:
    """Send a body, compressed if the client takes gzip.

    `arrived` is called before the last byte goes out: whoever has read the answer finds the
    sandbox in the state after it. It is not called for half a body, or if the client went away.
    """
    if "truncate" in faults:
        whole = joined(pieces)
        pieces = [Piece(whole[: len(whole) // 2])]
    compress = "gzip" in request.headers.get("Accept-Encoding", "").lower()
    body = gzipped(pieces) if compress else joined(pieces)
    response = await _begun(request, len(body), compress=compress)
    if "cut" in faults:
        return await _cut(request, response, body[: len(body) // 2])
    await _send(response, memoryview(body)[:-1], faults.get("drip"))
    if "truncate" not in faults:
        arrived()
    await response.write(body[-1:])
    await response.write_eof()
    return response


async def deliver_bomb(request: web.Request, bomb: bytes) -> web.StreamResponse:
    """Send a body that is gzip, whatever the client takes."""
    response = await _begun(request, len(bomb), compress=True)
    await response.write(bomb)
    await response.write_eof()
    return response


async def _begun(request: web.Request, length: int, *, compress: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": JSON})
    if compress:
        response.headers["Content-Encoding"] = "gzip"
    response.content_length = length
    await response.prepare(request)
    return response


async def _cut(
    request: web.Request, response: web.StreamResponse, body: bytes
) -> web.StreamResponse:
    await response.write(body)
    if request.transport is not None:
        request.transport.close()
    return response


async def _send(response: web.StreamResponse, body: memoryview, drip: Fault | None) -> None:
    if drip is None:
        await response.write(body)
        return
    size = max(1, -(-len(body) // DRIPS))
    for begin in range(0, len(body), size):
        await response.write(body[begin : begin + size])
        await asyncio.sleep(drip.number / DRIPS)
