"""dlt into DuckDB, with the strategy scd2: plain merge never notices that a category is gone.

Each list is loaded whole, as dlt wants it; a category's versions stay in the table, the one that is
valid has no end. Its usage reports are off. A process of its own and a file of its own.

    python -m bench.peers.dlt_scd2 FOLDER FIRST CHANGED
"""

import os
import sys
from pathlib import Path
from typing import Any

import dlt

from bench.peers.lists import FIELDS, NOTHING, Category, differences, must_be, parsed
from bench.peers.meter import Meter

TABLE = "categories"
COLUMNS = [{"name": name, "data_type": "bool" if name == "is_leaf" else "text"} for name in FIELDS]
"""Said, since dlt would guess a time where a name looks like one."""


def main() -> None:
    """Do the three works."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # read when the pipeline is made
    folder, first, changed = Path(sys.argv[1]), *(Path(name).read_bytes() for name in sys.argv[2:4])
    meter = Meter("dlt", ("dlt", "duckdb"))
    pipeline = dlt.pipeline(
        "peer",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "peer.duckdb")),
        dataset_name="shop",
    )
    versions = 0
    for work, before, body in (
        ("first list", NOTHING, first),
        ("1 % changed", first, changed),
        ("nothing changed", changed, changed),
    ):
        with meter.running():
            load(pipeline, body)
        wanted = parsed(body)
        found = differences(parsed(before), wanted)
        versions += len(found.added) + len(found.updated)
        must_be(count(pipeline), versions, f"versions, {work}")
        must_be(valid(pipeline), in_order(wanted), f"categories, {work}")
        meter.tell(work, found.total)
        del wanted, found  # are no memory of the next work


def load(pipeline: Any, body: bytes) -> None:
    """Make the valid rows of the table what `body` says."""
    categories = dlt.resource(
        parsed(body),
        name=TABLE,
        columns=COLUMNS,
        write_disposition={"disposition": "merge", "strategy": "scd2"},
    )
    pipeline.run(categories).raise_on_failed_jobs()


def count(pipeline: Any) -> int:
    """Return how many versions of categories there are."""
    return int(_rows(pipeline, f"SELECT count(*) FROM {TABLE}")[0][0])  # noqa: S608


def valid(pipeline: Any) -> list[tuple[Any, ...]]:
    """Return the rows that are valid, by id."""
    names = ", ".join(FIELDS)
    return sorted(
        _rows(pipeline, f"SELECT {names} FROM {TABLE} WHERE _dlt_valid_to IS NULL")  # noqa: S608
    )


def in_order(categories: list[Category]) -> list[tuple[Any, ...]]:
    """Return `categories` as rows, by id."""
    return sorted(tuple(row.values()) for row in categories)


def _rows(pipeline: Any, query: str) -> list[tuple[Any, ...]]:
    with pipeline.sql_client() as client:
        return [tuple(row) for row in client.execute_sql(query)]


if __name__ == "__main__":
    main()
