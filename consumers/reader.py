"""Follows a catalog for one projection, by the strict rule, for as long as it is let.

What connects is applied at once, in the batches in which it comes. What does not leads to a
resync, and where there is nothing to resync to, the data stay and the reader waits (contract,
5.6 and 5.7). With `once` it stops when it has everything that there is.
"""

from typing import Final

import structlog

from consumers import strict
from consumers.errors import NoState
from consumers.event import Entry, decode_all
from consumers.model import Checkpoint
from consumers.projection import Projection
from consumers.stream import Stream

log = structlog.get_logger(__name__)

NOTHING_YET: Final = "there is no intact copy to go on from"


class Reader:
    """Keeps `projection` at what `stream` says, and shows how far it is as consumer `name`."""

    def __init__(self, stream: Stream, projection: Projection, name: str, *, once: bool) -> None:
        self._stream = stream
        self._projection = projection
        self._name = name
        self._once = once
        self._is_shown = False
        self._log = log.bind(catalog=stream.catalog, consumer=name)

    async def run(self) -> None:
        """Follow until cancelled, which is safe at any moment; with `once` until caught up.

        Raises StoreError, RedisError, and with `once` NoState.
        """
        checkpoint = await self._projection.load()
        self._log.info("started", position=checkpoint and checkpoint.position)
        if checkpoint is None:
            checkpoint = await self._resync(NOTHING_YET)
        else:
            await self._show(checkpoint)
        while (break_ := await self._follow(checkpoint)) is not None:
            checkpoint = await self._resync(break_)

    async def _follow(self, checkpoint: Checkpoint) -> str | None:
        """Apply what connects until something does not, and return why not.

        Returns None when nothing is left to apply, with `once` only.
        """
        try:
            while True:
                entries = await self._stream.read(checkpoint.offset, wait=not self._once)
                if not entries:
                    entries, meta = await self._stream.look(checkpoint.offset)
                    if not entries and meta.position != checkpoint.position:
                        return f"no event leads from {checkpoint.position} to {meta.position}"
                if entries:
                    checkpoint, break_ = await self._take(checkpoint, entries)
                    if break_ is not None:
                        return break_
                elif self._once:
                    self._log.info("caught up", position=checkpoint.position)
                    return None
                elif not self._is_shown:
                    await self._show(checkpoint)
        except NoState as error:
            return str(error)

    async def _take(
        self, checkpoint: Checkpoint, entries: list[Entry]
    ) -> tuple[Checkpoint, str | None]:
        """Apply as many of `entries` as connect; return where that leads, and why not further."""
        events, unreadable = decode_all(entries, self._stream.catalog)
        rows = await self._projection.rows({event.category.id for event in events})
        connecting, reached, break_ = strict.follow(checkpoint, events, rows)
        if connecting:
            await self._projection.apply(connecting, reached)
            await self._show(reached)
            self._log.debug("applied", events=len(connecting), position=reached.position)
        return reached, break_ or unreadable

    async def _resync(self, reason: str) -> Checkpoint:
        snapshot, checkpoint = await self._stream.snapshot()
        await self._projection.reset(snapshot, checkpoint)
        await self._show(checkpoint)
        self._log.info(
            "resynced", reason=reason, position=checkpoint.position, categories=len(snapshot)
        )
        return checkpoint

    async def _show(self, checkpoint: Checkpoint) -> None:
        self._is_shown = await self._stream.publish(self._name, checkpoint)
