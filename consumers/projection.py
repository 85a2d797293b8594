"""What a consumer builds, as the reader sees it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from consumers.model import Category, Checkpoint, Event, Snapshot


class Projection(Protocol):
    """Something built from a catalog, which knows up to which event.

    `reset` and `apply` change data and checkpoint together or not at all, and only if the stored
    checkpoint is still the one that this consumer started from (contract, 5.8); if not they raise
    StoreTaken, if the store refuses StoreError. Cancelling them is safe at any moment.
    """

    async def load(self) -> Checkpoint | None:
        """Return the checkpoint of the data as they are; None if there are none to go on from."""
        ...

    async def rows(self, ids: Collection[str]) -> Mapping[str, Category] | None:
        """Return the rows kept of `ids`, without those it lacks; None if it keeps no rows."""
        ...

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Become what `snapshot` says, whatever there was before."""
        ...

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Apply `events`, which connect to the checkpoint so far and lead to `checkpoint`."""
        ...
