"""The kinds of projections that a database has."""

from consumers.projection_kinds import stored_kinds
from consumers.sql.database import open_database
from plumbing.redis.server import Server
from tests.consumers.mirrors import run_once
from tests.consumers.pretend_publisher import PretendPublisher, row, tree

HOME = row("1", "Home")


async def test_the_kinds_in_a_database(
    server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """All projections with a checkpoint of the catalog, and none of another catalog."""
    uk = PretendPublisher(publisher.client, "uk")
    await uk.commit(tree(HOME))
    await publisher.commit(tree(HOME))
    for kind in ("history", "mirror"):
        await run_once(server, database_url, kind)
    async with open_database(database_url) as store:
        assert await stored_kinds(store, "us") == ["history", "mirror"]
        assert await stored_kinds(store, "uk") == []
