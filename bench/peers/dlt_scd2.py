"""dlt into DuckDB, with the strategy scd2: plain merge misses removals.

Each list is loaded completely, as dlt expects; a category's versions stay in the table, and the
valid one has no end. Its usage reports are off. It has a process and a file of its own.

    python -m bench.peers.dlt_scd2 FOLDER FIRST CHANGED
"""

import os
import sys
from pathlib import Path
from typing import Any

import dlt

from bench.peers.lists import FIELDS, NOTHING, Category, check_equal, differences, parse
from bench.peers.meter import Meter

TABLE = "categories"
COLUMNS = [{"name": name, "data_type": "bool" if name == "is_leaf" else "text"} for name in FIELDS]
"""Given explicitly, since dlt would guess a time where a name looks like one."""


def main() -> None:
    """Run the three works."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # read when the pipeline is created
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
        with meter.measure():
            load(pipeline, body)
        expected = parse(body)
        found = differences(parse(before), expected)
        versions += len(found.added) + len(found.updated)
        check_equal(count_versions(pipeline), versions, f"versions, {work}")
        check_equal(valid_rows(pipeline), sorted_rows(expected), f"categories, {work}")
        meter.print_figure(work, found.total)
        del expected, found  # must not count as memory of the next work


def load(pipeline: Any, body: bytes) -> None:
    """Load `body`: the valid rows of the table become its categories."""
    categories = dlt.resource(
        parse(body),
        name=TABLE,
        columns=COLUMNS,
        write_disposition={"disposition": "merge", "strategy": "scd2"},
    )
    pipeline.run(categories).raise_on_failed_jobs()


def count_versions(pipeline: Any) -> int:
    """Return the number of versions of categories."""
    return int(_rows(pipeline, f"SELECT count(*) FROM {TABLE}")[0][0])  # noqa: S608


def valid_rows(pipeline: Any) -> list[tuple[Any, ...]]:
    """Return the rows that are valid, by id."""
    names = ", ".join(FIELDS)
    return sorted(
        _rows(pipeline, f"SELECT {names} FROM {TABLE} WHERE _dlt_valid_to IS NULL")  # noqa: S608
    )


def sorted_rows(categories: list[Category]) -> list[tuple[Any, ...]]:
    """Return `categories` as rows, by id."""
    return sorted(tuple(row.values()) for row in categories)


def _rows(pipeline: Any, query: str) -> list[tuple[Any, ...]]:
    with pipeline.sql_client() as client:
        return [tuple(row) for row in client.execute_sql(query)]


if __name__ == "__main__":
    main()
