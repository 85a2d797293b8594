"""Keeps a projection in sync with its catalog."""

import asyncio
from contextlib import aclosing

from consumers.errors import StoreUnavailable
from consumers.following.catalog_client import open_catalog
from consumers.following.projection import Projection
from consumers.following.reader import Reader
from plumbing import logs
from plumbing.config.settings import CommonSettings
from plumbing.outage_retry import OutageRetry, backoff_seconds

log = logs.logger(__name__)


async def follow(
    projection: Projection, catalog: str, settings: CommonSettings, *, name: str, once: bool = False
) -> None:
    """Keep `projection` in sync with `catalog`, as consumer `name`.

    The catalog is in the Redis of `settings`. Runs until cancelled, waiting for Redis and the
    database during outages. With `once` it ends when it has caught up, and an outage is an error.
    Raises what `run_projection` raises.
    """
    async with open_catalog(settings, catalog, once=once) as client:
        await run_projection(projection, Reader(client, name, once=once))


async def run_projection(projection: Projection, reader: Reader) -> None:
    """Apply each step of `reader` to `projection`.

    Ends when it is cancelled or, with `once`, when it has caught up. Without `once` it waits
    while the database is unavailable. Whether the last transaction before an outage was committed
    is unknown, so after each outage the stored checkpoint is loaded again. Loading may succeed
    while writes still fail, for example on a standby: then the waits become longer.

    Raises StoreError, RedisError, and with `once` NoState.
    """
    loading = OutageRetry(
        "database",
        projection.address,
        lambda error: isinstance(error, StoreUnavailable),
        once=reader.once,
    )
    failures = 0
    while True:
        checkpoint = await loading.call(projection.load)
        try:
            async with aclosing(reader.steps(checkpoint, projection.rows)) as steps:
                async for step in steps:
                    await step.apply_to(projection)
                    failures = 0
        except StoreUnavailable as error:
            if reader.once:
                raise
            if not failures:
                log.warning("database connection lost, restarting", error=str(error))
            await asyncio.sleep(backoff_seconds(failures))
            failures += 1
        else:
            return
