"""docs/history.md: its queries run in each database and use the indexes."""

import re
from typing import Any

import pytest

from tests.consumers.history.conftest import to
from tests.consumers.history.history_builder import (
    FIRST,
    FOURTH,
    SECOND,
    TIMES,
    open_projection,
    record_example,
)
from tests.support.databases import fetch
from tests.support.paths import DOCS

__all__ = ["to"]

PAGE = DOCS / "history.md"


def queries() -> list[str]:
    """Return the queries of the page, in order."""
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def answers() -> list[list[Any]]:
    """Return the result of each query on the history of `record_example`.

    The rows are in any order.
    """
    return [
        in_any_order(FOURTH.values()),
        in_any_order(SECOND.values()),
        [(1,)],
        in_any_order([SECOND["1"], SECOND["2"], FIRST["3"]]),
        [
            (TIMES[0], TIMES[5], "Home"),
            (TIMES[5], TIMES[10], "Home & Garden"),
            (TIMES[10], None, "Home"),
        ],
        [(TIMES[5], "3", "Toys"), (TIMES[10], "2", "Garden")],
    ]


def in_any_order(rows: Any) -> list[Any]:
    """Return the rows, sorted."""
    return sorted(rows, key=lambda row: str(row[0]))


@pytest.mark.contract("8")
async def test_the_queries_of_the_page(database_url: str) -> None:
    """Each query returns what the page says, in every database."""
    async with open_projection(database_url) as history:
        await record_example(history)
    *trees_and_lives, removed = zip(queries(), answers(), strict=True)
    for query, wanted in trees_and_lives:
        assert in_any_order(await fetch(database_url, query)) == wanted
    query, wanted = removed
    rows = await fetch(database_url, query)
    assert [(at, *rest) for at, _event, *rest in rows] == wanted
    assert [event is None for _at, event, *_rest in rows] == [False, True]


async def test_they_use_the_indexes(to: str) -> None:
    """No query reads the whole table."""
    async with open_projection(to) as history:
        await record_example(history)
    assert queries()
    for query in queries():
        plan = await fetch(to, f"EXPLAIN QUERY PLAN {query}")
        details = [str(detail) for *_, detail in plan]
        assert any(detail.startswith("SEARCH") for detail in details)
        assert not any(detail.startswith("SCAN") for detail in details)


async def test_the_columns_of_the_page(to: str) -> None:
    """The page names each column of the two tables, and no other."""
    async with open_projection(to) as history:
        await record_example(history)
    for table in ("category_history", "history_resyncs"):
        columns = {name for _, name, *_ in await fetch(to, f"PRAGMA table_info({table})")}
        assert described(table) == columns


def described(table: str) -> set[str]:
    """Return the names in the first column of the page's table about `table`."""
    section = PAGE.read_text("utf-8").split(f"### `{table}`")[1].split("\n#")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
