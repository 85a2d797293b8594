"""7. A projection is what a consumer builds: two methods, `reset` and `apply`."""

from collections.abc import Sequence

from consumers.api import (
    CatalogClient,
    Checkpoint,
    Event,
    Projection,
    Reader,
    Snapshot,
    run_projection,
)
from publisher.polling.poll import Catalog, poll_once
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree


class Names(Projection):
    """Keeps the names of all categories, and how far it is: the checkpoint."""

    checkpoint: Checkpoint | None = None

    async def load(self) -> Checkpoint | None:
        """Return where to go on from; without it each start would begin with a reset."""
        return self.checkpoint

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Take the names of the whole state."""
        self.names = {row.id: row.local_name for row in snapshot.rows.values()}
        self.checkpoint = checkpoint

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Change the names as the events say."""
        for event in events:
            self.names.pop(event.category.id, None)
            if event.type != "removed":
                self.names[event.category.id] = event.category.local_name
        self.checkpoint = checkpoint


async def test_own_projection(
    catalog: Catalog, source: ScriptedSource, reading: CatalogClient
) -> None:
    """The reader calls `reset` with the state, then `apply` with the events.

    It applies only events that connect.
    """
    names = Names()
    source.set_tree(tree(("1", "0", "Home", False), ("2", "1", "Garden", True)))
    await poll_once(catalog)
    await run_projection(names, Reader(reading, "names", once=True))
    assert names.names == {"1": "Home", "2": "Garden"}

    source.set_tree(tree(("1", "0", "House", True)))
    await poll_once(catalog)
    await run_projection(names, Reader(reading, "names", once=True))
    assert names.names == {"1": "House"}
