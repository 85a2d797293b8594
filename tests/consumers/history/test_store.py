"""The store of the history: several catalogs, many rows."""

import pytest

from consumers.errors import NotRecorded
from tests.consumers.history.history_builder import (
    FOURTH,
    TIMES,
    Publisher,
    open_projection,
    record_example,
    resync,
    rows,
    tree_at,
)
from tests.consumers.pretend_publisher import row


@pytest.mark.contract("8")
async def test_catalogs_side_by_side(database_url: str) -> None:
    """Each catalog in a database has its own history."""
    async with (
        open_projection(database_url) as ours,
        open_projection(database_url, "uk-en") as theirs,
    ):
        await record_example(ours)
        publisher = Publisher("uk-en")
        publisher.events(rows(row("1", "Toys & Games")), TIMES[20])
        await resync(theirs, publisher)
        assert await tree_at(ours, TIMES[30]) == FOURTH
        assert await tree_at(theirs, TIMES[30]) == rows(row("1", "Toys & Games"))
        with pytest.raises(NotRecorded):
            await tree_at(theirs, TIMES[5])


async def test_large_resyncs(database_url: str) -> None:
    """Every category may differ: more of them than a statement takes parameters."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        for name in ("a", "b"):
            publisher.events(rows(*(row(str(id_), name) for id_ in range(1, 4_001))))
            await resync(history, publisher)
        assert (await history.read())[1] == publisher.rows
        assert len(await tree_at(history, "4000")) == 4_000
