"""8. A copy can be proved equal to the state, and be repaired if it is not."""

from pathlib import Path

import pytest

from consumers.api import CatalogClient, Reader, open_database, run_projection
from consumers.sql.mirror import Mirror
from consumers.verify import repair_projection, verify_projection
from publisher.polling.poll import Catalog, poll_once
from tests.support.databases import execute
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree


@pytest.mark.contract("5.8")
async def test_verify(
    catalog: Catalog, source: ScriptedSource, reading: CatalogClient, folder: Path
) -> None:
    """`verify` names a wrong row of the mirror, and `--repair` repairs it.

    Somebody has changed the row by hand.
    """
    url = f"sqlite:///{folder / 'categories.db'}"
    source.set_tree(tree(("1", "0", "Home", False), ("2", "1", "Garden", True)))
    await poll_once(catalog)
    async with open_database(url) as database:
        mirror = Mirror(database, "us")
        await run_projection(mirror, Reader(reading, "mirror", once=True))
        assert (await verify_projection(reading, mirror)).outcome == "equal"

        await execute(url, "UPDATE categories SET local_name = 'Gardn' WHERE id = '2'")
        verdict = await verify_projection(reading, mirror)
        assert verdict.outcome == "different"
        assert any("'Gardn', in the state 'Garden'" in line for line in verdict.differences)

        verdict = await repair_projection(reading, mirror, verdict.differences)
        assert verdict.outcome == "repaired"
        assert (await verify_projection(reading, mirror)).outcome == "equal"
