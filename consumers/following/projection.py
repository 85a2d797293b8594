"""The interface of projections: what consumers build from a catalog (contract, 1)."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot


class Projection(ABC):
    """Something built from a catalog.

    `reset` and `apply` change the data and store the checkpoint, both or neither (contract, 5.8).
    They raise StoreUnavailable if waiting helps, and then the caller continues from what `load`
    returns; else another StoreError. Cancelling them is safe at any moment.
    """

    address: str = "its own store"
    """Where the data are stored, for messages."""

    @abstractmethod
    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Replace all data by `snapshot` and store `checkpoint`."""

    @abstractmethod
    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Apply `events`, which connect to the stored checkpoint, and store `checkpoint`."""

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None if there is none to continue from.

        So a projection that stores no checkpoint starts with a reset each time.
        """
        return None

    async def rows(self, ids: Collection[str]) -> Rows | None:  # noqa: ARG002  for those with rows
        """Return those stored rows of `ids` that exist; None if it stores no rows.

        With them each event's digest is checked against the data themselves, so that a change made
        by something else is found (contract, 5.6).
        """
        return None
