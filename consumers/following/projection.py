"""What a consumer builds: two methods (contract, 1), and two more for who keeps what it built."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot


class Projection(ABC):
    """Something built from a catalog.

    `reset` and `apply` change the data and keep the checkpoint, together or not at all (contract,
    5.8). They raise StoreAway where waiting helps and another StoreError where it does not; of
    the former the reader starts again from `load`. Cancelling them is safe at any moment.
    """

    address: str = "its own store"
    """Where the data are, as messages say it."""

    @abstractmethod
    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Become what `snapshot` says, whatever there was before."""

    @abstractmethod
    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Apply `events`, which connect to the checkpoint so far and lead to `checkpoint`."""

    async def load(self) -> Checkpoint | None:
        """Return the checkpoint of the data as they are; None if there are none to go on from.

        So a projection that keeps no checkpoint begins with a reset, each time.
        """
        return None

    async def rows(self, ids: Collection[str]) -> Rows | None:  # noqa: ARG002  for who has some
        """Return the rows kept of `ids`, without those it lacks; None if it keeps no rows.

        Who has rows gives them: then a copy that something else changed is found (contract, 5.6).
        """
        return None
