"""Keeps a projection in step with its catalog, for as long as it is let."""

from contextlib import aclosing

import structlog

from consumers.errors import StoreAway
from consumers.patience import Patience
from consumers.projection import Projection
from consumers.reader import Reader

log = structlog.get_logger(__name__)


async def keep(projection: Projection, reader: Reader, *, address: str) -> None:
    """Do step by step what `reader` says, until cancelled or, with `once`, caught up.

    While the store at `address` is away it is waited for, but not with `once`. Whether the last
    transaction before an outage went through is not known: so each one is followed by `load`.
    Raises StoreError, RedisError, and with `once` NoState.
    """
    patience = Patience("the database", address, _is_away, once=reader.once)
    while True:
        checkpoint = await patience.ask(projection.load)
        try:
            async with aclosing(reader.steps(checkpoint, projection.rows)) as steps:
                async for step in steps:
                    await step.do(projection)
        except StoreAway as error:
            if reader.once:
                raise
            log.warning("the database broke off, starting again", error=str(error))
        else:
            return


def _is_away(error: Exception) -> bool:
    return isinstance(error, StoreAway)
