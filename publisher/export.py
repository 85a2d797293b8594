"""Formats a catalog's state as JSON, for the `file` source, or as CSV (RFC 4180)."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import orjson

from publisher.core.model import FIELDS, Category, depths
from publisher.errors import NoState
from publisher.state.store import Store


async def export_state(store: Store, form: str) -> Iterator[str]:
    """Return the state in `form`, one of FORMATS, in chunks: top-down, then by id.

    Raises NoState if there is none, or if it is damaged.
    """
    state = await store.load()
    if state.position is None:
        reason = "its state is damaged; the next poll repairs it" if state.damaged else "no state"
        raise NoState(f"catalog {store.catalog}: nothing to export: {reason}")
    depth = depths(state.tree)
    rows = sorted(state.tree.values(), key=lambda each: (depth.get(each.id, 0), each.id))
    return FORMATS[form](rows)


def _format_json(rows: Sequence[Category]) -> Iterator[str]:
    yield "["
    separator = "\n"
    for row in rows:
        yield separator + orjson.dumps(row.fields()).decode()
        separator = ",\n"
    yield "\n]\n"


def _format_csv(rows: Sequence[Category]) -> Iterator[str]:
    yield _csv_line(FIELDS)
    for row in rows:
        yield _csv_line([row.id, row.parent_id, row.local_name, str(row.is_leaf).lower()])


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


FORMATS: Final[dict[str, Callable[[Sequence[Category]], Iterator[str]]]] = {
    "json": _format_json,
    "csv": _format_csv,
}
