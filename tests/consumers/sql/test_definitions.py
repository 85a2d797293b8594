"""The definitions of all tables and views, in each database (contract, 8).

`definitions/` has them as SQL. Databases keep the tables that an older version created. So a change of a
definition also needs a way to bring existing tables to the new form.
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
def test_the_definitions_of_each_database(driver: str, name: str) -> None:
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
    if name == "mariadb":  # which only has another name for the collation
        found = found.replace("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
        name = "mysql"
    assert found == (DEFINITIONS / f"{name}.sql").read_text("utf-8")
