"""The store of the mappings: catalogs do not mix."""

from tests.consumers.mapping.mapping_catalog import MUGS, TREE, open_mapping_catalog, without
from tests.support.databases import execute, fetch


async def test_catalogs_side_by_side(database_url: str) -> None:
    """The same keys and ids in another catalog are independent."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A")
        await it.link(a="2")
    query = "SELECT DISTINCT catalog FROM mappings"
    assert await fetch(database_url, query) == [("us",)]
    for table in ("mappings", "map_categories", "checkpoints"):
        await execute(database_url, f"UPDATE {table} SET catalog = 'uk'")  # noqa: S608
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A")
        await it.link(a="2")
        await it.go_to(*without(MUGS))
        await it.service.remove(["a"])
    assert await fetch(database_url, "SELECT catalog, state FROM mappings") == [("uk", "valid")]
