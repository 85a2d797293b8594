"""Keeps a projection in step with its catalog, for as long as it is let."""

import asyncio
from contextlib import aclosing

from consumers.errors import StoreAway
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
    """Keep `projection` in step with `catalog`, in the Redis of `settings`, as consumer `name`.

    Until cancelled; with `once` until caught up, and then an outage is an error, which otherwise
    is waited for. Raises what `run_projection` does.
    """
    async with open_catalog(settings, catalog, once=once) as events:
        await run_projection(projection, Reader(events, name, once=once))


async def run_projection(projection: Projection, reader: Reader) -> None:
    """Do step by step what `reader` says, until cancelled or, with `once`, caught up.

    While the store of `projection` is away it is waited for, but not with `once`. Whether the last
    transaction before an outage went through is not known: so each one is followed by `load`. That
    may answer while nothing can be written, such as in a standby: then the waits become longer.
    Raises StoreError, RedisError, and with `once` NoState.
    """
    retry = OutageRetry("database", projection.address, _is_away, once=reader.once)
    failures = 0
    while True:
        checkpoint = await retry.call(projection.load)
        try:
            async with aclosing(reader.steps(checkpoint, projection.rows)) as steps:
                async for step in steps:
                    await step.apply_to(projection)
                    failures = 0
        except StoreAway as error:
            if reader.once:
                raise
            if not failures:
                log.warning("database connection lost, restarting", error=str(error))
            await asyncio.sleep(backoff_seconds(failures))
            failures += 1
        else:
            return


def _is_away(error: Exception) -> bool:
    return isinstance(error, StoreAway)
