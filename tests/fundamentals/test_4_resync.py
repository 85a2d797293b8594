"""4. A consumer applies events that connect; otherwise it reads the state.

An event connects if it follows the consumer's checkpoint.
"""

from contextlib import aclosing
from typing import Any

import pytest

from consumers.api import Apply, CatalogClient, Checkpoint, Reader, Reset, Step
from publisher.polling.poll import Catalog, poll_once
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree


async def steps_after(checkpoint: Checkpoint | None, reading: CatalogClient) -> list[Step]:
    """Return the steps of a consumer that starts at `checkpoint`.

    They end when it has caught up.
    """
    async with aclosing(Reader(reading, "tour", once=True).steps(checkpoint)) as steps:
        return [step async for step in steps]


@pytest.mark.contract("5.6")
async def test_resync(
    catalog: Catalog, source: ScriptedSource, reading: CatalogClient, real_client: Any
) -> None:
    """A consumer resets without a checkpoint, and after a gap.

    In between it applies events.
    """
    source.set_tree(tree(("1", "0", "Home", True)))
    await poll_once(catalog)
    (reset,) = await steps_after(None, reading)
    assert isinstance(reset, Reset)
    assert reset.snapshot.rows["1"].local_name == "Home"

    source.set_tree(tree(("1", "0", "Home & Garden", True)))
    await poll_once(catalog)
    (apply,) = await steps_after(reset.checkpoint, reading)
    assert isinstance(apply, Apply)
    assert [event.type for event in apply.events] == ["updated"]

    source.set_tree(tree(("1", "0", "House", True)))
    await poll_once(catalog)
    await real_client.xtrim("catalog:{us}:events", 0, approximate=False)  # the event is gone
    (again,) = await steps_after(apply.checkpoint, reading)
    assert isinstance(again, Reset)
    assert again.snapshot.rows["1"].local_name == "House"
