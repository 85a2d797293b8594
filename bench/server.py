"""The embedded server, as the benchmarks use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plumbing.redis import embedded
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import Server


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[str]:
    """Run the server in `folder`, with its append-only file as usual; yield its URL.

    Only the rewriting of that file is off: it would start during some run and use the other core.
    """
    async with embedded.open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url:
        async with Server(url).client() as client:
            await client.config_set("auto-aof-rewrite-percentage", 0)
        yield url
