"""docs/mirror.md: its queries run in every database."""

import re

import pytest

from tests.consumers.conftest import emptied
from tests.consumers.mirrors import mirror_once
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.databases import fetch
from tests.support.paths import DOCS
from tests.support.valkey import Valkey

PAGE = DOCS / "mirror.md"
TREE = tree(
    row("1", "Home", is_leaf=False), row("2", "Garden", "1", is_leaf=False), row("3", "Roses", "2")
)


@pytest.mark.contract("8")
async def test_its_queries(valkey: Valkey, database_url: str) -> None:
    """Each query returns what the page says."""
    server = await emptied(valkey)
    async with server.client() as client:
        await PretendPublisher(client).commit(TREE)
    await mirror_once(server, database_url)
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    queries = [query for block in blocks for query in block.split(";") if query.strip()]
    answers = [await fetch(database_url, query) for query in queries]
    assert [sorted(answer) for answer in answers] == [
        [("3", "Home > Garden > Roses")],
        [("1", "Home"), ("2", "Garden"), ("3", "Roses")],
        [("2",), ("3",)],
        [("2",)],
        [("2",)],
    ]
