"""A catalog's state as a file: JSON that the `file` source reads back, or CSV (RFC 4180)."""

import csv
import io
from collections.abc import Iterator, Sequence

import orjson

from publisher.core.model import FIELDS, Category, depths
from publisher.errors import NoState
from publisher.state.store import Store


async def export_state(store: Store, form: str) -> Iterator[str]:
    """Return the state in `form` (`json` or `csv`), top-down and by id, in pieces of text.

    Raises NoState if there is none, or if it is damaged.
    """
    state = await store.load()
    if state.position is None:
        reason = "its state is damaged; the next poll repairs it" if state.damaged else "no state"
        raise NoState(f"catalog {store.catalog}: nothing to export: {reason}")
    depth = depths(state.tree)
    rows = sorted(state.tree.values(), key=lambda each: (depth.get(each.id, 0), each.id))
    return _json(rows) if form == "json" else _csv(rows)


def _json(rows: list[Category]) -> Iterator[str]:
    for index, row in enumerate(rows):
        lead = "[\n" if index == 0 else ",\n"
        yield lead + orjson.dumps(row.fields()).decode()
    yield "\n]\n"


def _csv(rows: list[Category]) -> Iterator[str]:
    yield _line(FIELDS)
    for row in rows:
        yield _line([row.id, row.parent_id, row.local_name, "true" if row.is_leaf else "false"])


def _line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
