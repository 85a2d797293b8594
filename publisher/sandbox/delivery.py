"""Sends a body to the client, with the faults of the transfer."""

import asyncio
import gzip
import math
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from publisher.sandbox.faults import Fault
from publisher.sandbox.responses import JSON

DRIPS: Final = 20
"""The number of pieces that a dripping body is sent in."""
FASTEST: Final = 1
"""The gzip level: a tree of 200,000 categories takes less than a tenth of a second."""


async def deliver(
    request: web.Request,
    body: bytes,
    faults: Mapping[str, Fault],
    on_complete: Callable[[], None],
) -> web.StreamResponse:
    """Send `body`, compressed if the client accepts gzip.

    `on_complete` is called before the last byte is sent, so that a client which has read the answer
    finds the sandbox in the state after it. It is not called for half a body, nor if the client
    disconnected.
    """
    if "truncate" in faults:
        body = body[: len(body) // 2]
    is_gzip = "gzip" in request.headers.get("Accept-Encoding", "").lower()
    if is_gzip:
        body = gzip.compress(body, FASTEST)
    response = await _start(request, len(body), is_gzip=is_gzip)
    if "cut" in faults:
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    all_but_last = memoryview(body)[:-1]
    pieces = DRIPS if "drip" in faults else 1
    size = max(1, math.ceil(len(all_but_last) / pieces))
    for start in range(0, len(all_but_last), size):
        await response.write(all_but_last[start : start + size])
        if "drip" in faults:
            await asyncio.sleep(faults["drip"].number / pieces)
    if "truncate" not in faults:
        on_complete()
    await response.write_eof(body[-1:])
    return response


async def deliver_gzip(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send a body that is gzip already, whether or not the client accepts it."""
    response = await _start(request, len(body), is_gzip=True)
    await response.write_eof(body)
    return response


async def _start(request: web.Request, length: int, *, is_gzip: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": JSON})
    if is_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.content_length = length
    await response.prepare(request)
    return response
