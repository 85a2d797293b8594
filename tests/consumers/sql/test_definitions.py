"""The definitions of all tables and views, in each database (contract, 8).

`definitions/` has them as SQL. Databases keep the tables that an older version created, so whoever
changes a definition also has to say how an existing copy gets it.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_mock_engine

from consumers.history.tables import category_history
from consumers.mapping.tables import mappings
from consumers.sql.tables import metadata

DEFINITIONS = Path(__file__).with_name("definitions")
OURS = {
    *("categories", "category_paths", "category_breadcrumbs", "checkpoints"),
    *("history_resyncs", category_history.name, "map_categories", mappings.name),
}
"""The others are a test's own."""


@pytest.mark.contract("8")
@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("sqlite+aiosqlite", "sqlite"),
        ("postgresql+asyncpg", "postgresql"),
        ("mysql+asyncmy", "mysql"),
        ("mysql+asyncmy", "mariadb"),
    ],
)
def test_each_database_gets_the_same_definitions_as_ever(driver: str, name: str) -> None:
    """Names, types, lengths, keys, indexes and views are those of the file."""
    statements: list[str] = []

    def compile_only(statement: Any, *_: object, **__: object) -> None:
        compiled = str(statement.compile(dialect=engine.dialect))
        statements.append("\n".join(line.rstrip() for line in compiled.strip().splitlines()))

    engine = create_mock_engine(f"{driver}://", compile_only)
    if name == "mariadb":
        engine.dialect.is_mariadb = True  # type: ignore[attr-defined]  # as it finds out itself
    ours = [table for name, table in metadata.tables.items() if name in OURS]
    metadata.create_all(engine, ours, checkfirst=False)
    found = ";\n\n".join(sorted(statements)) + ";\n"
    assert found == (DEFINITIONS / f"{name}.sql").read_text("utf-8")
