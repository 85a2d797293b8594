"""Formats a catalog's state as JSON, for the `file` source, or as CSV (RFC 4180)."""

import csv
import io
from typing import Final

import orjson

from publisher.core.model import FIELDS, depths
from publisher.errors import NoState
from publisher.state.store import Store

FORMATS: Final = ("json", "csv")


async def export_state(store: Store, form: str) -> str:
    """Return the state in `form`, one of FORMATS: top-down, then by id.

    Raises NoState if there is none, or if it is damaged.
    """
    state = await store.load()
    if state.position is None:
        reason = (
            "its state is damaged; the next poll repairs it" if state.is_damaged else "no state"
        )
        raise NoState(f"catalog {store.catalog}: nothing to export: {reason}")
    depth = depths(state.tree)
    rows = sorted(state.tree.values(), key=lambda each: (depth.get(each.id, 0), each.id))
    if form == "json":
        lines = (f"\n{orjson.dumps(row.fields()).decode()}" for row in rows)
        return f"[{','.join(lines)}\n]\n"
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(FIELDS)
    for row in rows:
        table.writerow([row.id, row.parent_id, row.local_name, str(row.is_leaf).lower()])
    return text.getvalue()
