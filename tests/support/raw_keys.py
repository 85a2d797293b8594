"""Read a catalog's keys with plain commands, and check that they agree."""

from typing import Any, NamedTuple

import orjson

from publisher.core.model import Category
from tests.support.contract import digest_of, digest_of_row
from tests.support.schemas import assert_valid_category, assert_valid_event, assert_valid_meta
from tests.support.trees import is_forest

SMALL = 200
"""Trees of at most so many categories are checked to be a forest after every event."""


class CatalogKeys(NamedTuple):
    """A catalog's keys: rows by id, meta, and the events with their entry ids."""

    rows: dict[str, dict[str, Any]]
    meta: dict[str, str]
    events: list[dict[str, Any]]
    offsets: list[str]


async def read_keys(client: Any, catalog: str = "us") -> CatalogKeys:
    """Read everything of `catalog`."""
    key = f"catalog:{{{catalog}}}:"
    rows = await client.hgetall(f"{key}categories")
    meta = await client.hgetall(f"{key}meta")
    entries = await client.xrange(f"{key}events")
    return CatalogKeys(
        {field.decode(): orjson.loads(row) for field, row in rows.items()},
        {field.decode(): value.decode() for field, value in meta.items()},
        [orjson.loads(fields[b"event"]) for _, fields in entries],
        [offset.decode() for offset, _ in entries],
    )


def replay(rows: dict[str, dict[str, Any]], events: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply `events` to `rows`, and return the new rows.

    Each event is checked as a strict consumer does. Every prefix must be a forest, unless `rows`
    (damaged by hand) are not one.
    """
    rows = dict(rows)
    forest = _is_forest(rows)
    digest = int(digest_of(rows), 16)
    for event in events:
        assert_valid_event(event)
        category, before = event["data"]["category"], event["data"].get("before")
        if event["type"] == "category.added":
            assert category["id"] not in rows
        else:
            assert rows[category["id"]] == (before or category)
            digest ^= digest_of_row(rows.pop(category["id"]))
        if event["type"] != "category.removed":
            rows[category["id"]] = category
            digest ^= digest_of_row(category)
        assert event["data"]["digest"] == f"{digest:016x}"
        if forest and len(rows) <= SMALL:
            assert _is_forest(rows)
    return rows


def _is_forest(rows: dict[str, dict[str, Any]]) -> bool:
    return is_forest({id_: Category(**row) for id_, row in rows.items()})


def check_consistent(found: CatalogKeys) -> None:
    """Assert that state, meta and the last event agree.

    They are also of the contract's form.
    """
    assert_valid_meta(found.meta)
    for id_, row in found.rows.items():
        assert_valid_category(row)
        assert row["id"] == id_
    assert found.meta["digest"] == digest_of(found.rows)
    assert found.meta["count"] == str(len(found.rows))
    own = [event for event in found.events if event["epoch"] == found.meta["epoch"]]
    sequences = [int(event["sequence"]) for event in own]
    assert sequences == list(
        range(int(found.meta["sequence"]) - len(own) + 1, int(found.meta["sequence"]) + 1)
    )
    if own:
        assert own[-1]["data"]["digest"] == found.meta["digest"]
        assert found.offsets[-1] == found.meta["offset"]


async def dump_keys(client: Any, catalog: str = "us") -> dict[bytes, Any]:
    """Return state, stream, meta and hold of `catalog` as they are stored."""
    key = f"catalog:{{{catalog}}}:"
    return {
        b"categories": await client.hgetall(f"{key}categories"),
        b"meta": await client.hgetall(f"{key}meta"),
        b"events": await client.xrange(f"{key}events"),
        b"hold": await client.get(f"{key}hold"),
    }
