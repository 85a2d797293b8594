"""The embedded server as the benchmarks have it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plumbing.redis import embedded
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import Server


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[str]:
    """Have it running in `folder`, append-only file as ever; give its URL.

    Only the file's rewrites are put off: one would begin amid some run, and take the other core.
    """
    async with embedded.open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as url:
        async with Server(url).client() as client:
            await client.config_set("auto-aof-rewrite-percentage", 0)
        yield url
