"""What there is to do for a projection, step by step, by the strict rule.

    async for step in Reader(stream, "mine").steps(checkpoint):
        match step: ...

What connects is to be applied at once, in the batches in which it comes. What does not leads to a
reset, and where there is nothing to reset to, the data stay and the reader waits (contract, 5.6
and 5.7). With `once` it ends when everything that there is has been done.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from typing import Final, NamedTuple, TypeAlias

from consumers.contract.continuity import Continuity, check_continuity
from consumers.contract.event import Entry, decode_all
from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.errors import NoState
from consumers.following.catalog_client import CatalogClient
from consumers.following.projection import Projection
from plumbing import logs

log = logs.logger(__name__)

NOTHING_YET: Final = "there is no intact copy to go on from"

RowsOf: TypeAlias = Callable[[Collection[str]], Awaitable[Rows | None]]
"""Gives a consumer's own rows of some ids, as Projection.rows does."""


class Reset(NamedTuple):
    """Become `snapshot`, and keep `checkpoint` with it; `reason` says why events do not do."""

    snapshot: Snapshot
    checkpoint: Checkpoint
    reason: str

    async def apply_to(self, projection: Projection) -> None:
        """Let `projection` do this."""
        await projection.reset(self.snapshot, self.checkpoint)


class Apply(NamedTuple):
    """Apply `events`, and keep `checkpoint`, to which they lead, with them."""

    events: Sequence[Event]
    checkpoint: Checkpoint

    async def apply_to(self, projection: Projection) -> None:
        """Let `projection` do this."""
        await projection.apply(self.events, self.checkpoint)


Step: TypeAlias = Reset | Apply


async def no_rows(_ids: Collection[str]) -> None:
    """Say that a consumer keeps no rows of its own."""


class Reader:
    """Follows `stream`, and shows how far it is as consumer `name`."""

    def __init__(self, stream: CatalogClient, name: str, *, once: bool = False) -> None:
        self.once = once
        self._stream = stream
        self._name = name
        self._is_shown = False
        self._log = log.bind(catalog=stream.catalog, consumer=name)

    async def steps(
        self, checkpoint: Checkpoint | None, rows: RowsOf = no_rows
    ) -> AsyncGenerator[Step, None]:
        """Yield what is to be done from `checkpoint` on; asking for the next says that it is done.

        It never ends, but with `once`. Stopping anywhere is safe. Raises RedisError, and with
        `once` NoState. Close it (`contextlib.aclosing`) when you leave it early.
        """
        self._log.info("started", position=checkpoint and checkpoint.position)
        if checkpoint is not None:
            await self._show(checkpoint)
        reason = None if checkpoint is not None else NOTHING_YET
        while True:
            if checkpoint is None or reason is not None:
                snapshot, checkpoint = await self._stream.snapshot()
                yield Reset(snapshot, checkpoint, reason or NOTHING_YET)
                await self._was_reset(snapshot, checkpoint, reason)
            entries, reason = await self._next(checkpoint)
            if entries:
                events, checkpoint, reason = await self._connecting(checkpoint, entries, rows)
                if events:
                    yield Apply(events, checkpoint)
                    await self._show(checkpoint)
                    self._log.debug("applied", events=len(events), position=checkpoint.position)
            elif reason is None and self.once:
                self._log.info("caught up", position=checkpoint.position)
                return
            elif reason is None and not self._is_shown:
                await self._show(checkpoint)

    async def _next(self, checkpoint: Checkpoint) -> tuple[list[Entry], str | None]:
        """Return the entries behind `checkpoint`; if none, why that history is over, or None."""
        try:
            entries = await self._stream.read(checkpoint.offset, wait=not self.once)
            if entries:
                return entries, None
            entries, meta = await self._stream.read_with_meta(checkpoint.offset)
        except NoState as error:
            return [], str(error)
        if not entries and meta.position != checkpoint.position:
            return [], f"no event leads from {checkpoint.position} to {meta.position}"
        return entries, None

    async def _connecting(
        self, checkpoint: Checkpoint, entries: list[Entry], rows: RowsOf
    ) -> Continuity:
        """Return as many of `entries` as connect, where they lead, and why no further."""
        events, unreadable = decode_all(entries, self._stream.catalog)
        own = await rows({event.category.id for event in events})
        continuity = check_continuity(checkpoint, events, own)
        return continuity._replace(gap=continuity.gap or unreadable)

    async def _was_reset(
        self, snapshot: Snapshot, checkpoint: Checkpoint, reason: str | None
    ) -> None:
        await self._show(checkpoint)
        self._log.info(
            "resynced", reason=reason, position=checkpoint.position, categories=len(snapshot.rows)
        )

    async def _show(self, checkpoint: Checkpoint) -> None:
        self._is_shown = await self._stream.publish_checkpoint(self._name, checkpoint)
