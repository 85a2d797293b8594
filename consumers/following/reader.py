"""Yields the steps that keep a projection in sync (contract, 5.6 and 5.7).

    async for step in Reader(client, "mine").steps(checkpoint):
        match step: ...

Events that connect are yielded in the batches in which they are read. If an event does not connect,
the next step is a reset from the state; while there is no valid state, the reader waits and the
projection keeps its data (contract, 5.7). With `once` the reader ends when it has caught up.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from typing import Final, NamedTuple, TypeAlias

from consumers.contract.continuity import check_continuity
from consumers.contract.event import Entry, decode_all
from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.errors import NoState
from consumers.following.catalog_client import CatalogClient
from consumers.following.projection import Projection
from plumbing import logs

log = logs.logger(__name__)

NO_CHECKPOINT: Final = "no valid checkpoint, full resync"

RowsOf: TypeAlias = Callable[[Collection[str]], Awaitable[Rows | None]]
"""Returns a consumer's own rows of some ids, as Projection.rows does."""


class Reset(NamedTuple):
    """Replace all data by `snapshot` and store `checkpoint` with it.

    `reason` says why no events lead to it.
    """

    snapshot: Snapshot
    checkpoint: Checkpoint
    reason: str

    async def apply_to(self, projection: Projection) -> None:
        """Reset `projection`."""
        await projection.reset(self.snapshot, self.checkpoint)


class Apply(NamedTuple):
    """Apply `events` and store `checkpoint`, to which they lead, with them."""

    events: Sequence[Event]
    checkpoint: Checkpoint

    async def apply_to(self, projection: Projection) -> None:
        """Apply the events to `projection`."""
        await projection.apply(self.events, self.checkpoint)


Step: TypeAlias = Reset | Apply


class Reader:
    """Follows a catalog; publishes the checkpoint of consumer `name` each step."""

    def __init__(self, client: CatalogClient, name: str, *, once: bool = False) -> None:
        self.once = once
        self._client = client
        self._name = name
        self._is_published = False
        self._log = log.bind(catalog=client.catalog, consumer=name)

    async def steps(
        self, checkpoint: Checkpoint | None, rows: RowsOf | None = None
    ) -> AsyncGenerator[Step, None]:
        """Yield the steps after `checkpoint`.

        When the caller asks for the next step, the last one counts as applied, and its checkpoint
        is published. `rows` returns the consumer's own rows, if it stores any. The steps end only
        with `once`. You may stop at any step; then close the generator (`contextlib.aclosing`).
        Raises RedisError, and with `once` NoState.
        """
        self._log.info("started", position=checkpoint and checkpoint.position)
        if checkpoint is not None:
            await self._publish(checkpoint)
        reason = None if checkpoint is not None else NO_CHECKPOINT
        while True:
            if checkpoint is None or reason is not None:
                snapshot, checkpoint = await self._client.snapshot()
                yield Reset(snapshot, checkpoint, reason or NO_CHECKPOINT)
                await self._publish(checkpoint)
                size = len(snapshot.rows)
                position = checkpoint.position
                self._log.info("resynced", reason=reason, position=position, categories=size)
            entries, reason = await self._read(checkpoint)
            if entries:
                decoded, unreadable = decode_all(entries, self._client.catalog)
                own = await rows({event.category.id for event in decoded}) if rows else None
                events, checkpoint, break_reason = check_continuity(checkpoint, decoded, own)
                reason = break_reason or unreadable
                if events:
                    yield Apply(events, checkpoint)
                    await self._publish(checkpoint)
                    self._log.debug("applied", events=len(events), position=checkpoint.position)
            elif reason is None and self.once:
                self._log.info("caught up", position=checkpoint.position)
                return
            elif reason is None and not self._is_published:
                await self._publish(checkpoint)

    async def _read(self, checkpoint: Checkpoint) -> tuple[list[Entry], str | None]:
        """Return the entries after `checkpoint`; if none, the reason to resync, or None."""
        try:
            if entries := await self._client.read(checkpoint.offset, wait=not self.once):
                return entries, None
            entries, meta = await self._client.read_with_meta(checkpoint.offset)
        except NoState as error:
            return [], str(error)
        if not entries and meta.position != checkpoint.position:
            return [], f"no event leads from {checkpoint.position} to {meta.position}"
        return entries, None

    async def _publish(self, checkpoint: Checkpoint) -> None:
        self._is_published = await self._client.publish_checkpoint(self._name, checkpoint)
