"""The tables of the mappings."""

import sqlite3

import asyncmy.errors
import asyncpg
import pytest

from tests.consumers.mapping.mapping_catalog import TREE, open_mapping_catalog
from tests.support.databases import execute

DUPLICATE = (
    sqlite3.IntegrityError, asyncpg.UniqueViolationError, asyncmy.errors.IntegrityError,
)  # fmt: skip
"""What the drivers raise for a duplicate."""


async def test_one_to_one(database_url: str) -> None:
    """The database itself rejects a second link with a category."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B")
        await it.link(a="2")
    with pytest.raises(DUPLICATE, match=r"(?i)unique|duplicate"):
        await execute(database_url, "UPDATE mappings SET category_id = '2' WHERE own_key = 'b'")
