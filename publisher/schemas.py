"""Generates the JSON Schemas (2020-12) and examples under schemas/.

They describe what a consumer may rely on: a category, the meta hash, the three events. Unknown
fields are allowed everywhere, since a field may be added without a new `dataschema` (contract, 3).
An event's `dataschema` is the `$id` of the schema of its `data`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from plumbing import clock
from publisher.core import digest as digests
from publisher.core.event import DATASCHEMAS, EVENT_TYPES, Position, encode, row
from publisher.core.model import Category, Change, Origin
from publisher.errors import SchemasDiffer

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\u0000]*$")]
Epoch = Annotated[
    str, Field(pattern="^[0-9a-f]{8}$", description="Name of one unbroken history of sequences.")
]
Digest = Annotated[
    str, Field(pattern="^[0-9a-f]{16}$", description="Fingerprint of a whole state (contract, 4).")
]
Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        description="RFC 3339, UTC, milliseconds.",
        json_schema_extra={"format": "date-time"},
    ),
]
Decimal = Annotated[str, Field(pattern="^(0|[1-9][0-9]*)$")]


class _Extensible(BaseModel):
    model_config = ConfigDict(extra="allow")


class CategoryModel(_Extensible):
    """One node of the tree, its values as the source sent them, blanks included."""

    model_config = ConfigDict(title="Category")

    id: Text = Field(description='Never "0".')
    parent_id: Text = Field(description="The parent's id; a root's is \"0\".")
    local_name: Text = Field(description="In the catalog's locale; not a key.")
    is_leaf: bool = Field(description="Whether products can be listed in it.")


class MetaModel(_Extensible):
    """The fields of the Redis hash `catalog:{NAME}:meta`, all of them text."""

    model_config = ConfigDict(title="Meta")

    contract: Literal["1"] = Field(description="The contract's version.")
    origin: str = Field(
        description="JSON of source, locale, category_version, listing_platform and "
        "include_prohibited_categories; null where unset.",
        json_schema_extra={"contentMediaType": "application/json"},
    )
    epoch: Epoch
    sequence: Decimal = Field(description="That of the state's last event.")
    offset: str = Field(
        pattern="^[0-9]+-[0-9]+$", description="Stream entry id to read on from; opaque."
    )
    digest: Digest
    count: Decimal = Field(description="Number of categories.")
    committed_at: Time


class _Data(_Extensible):
    category: CategoryModel
    digest: Digest = Field(description="The state's digest after this event.")


class _WithoutBefore(_Data):
    model_config = ConfigDict(
        json_schema_extra={"not": {"anyOf": [{"required": ["before"]}, {"required": ["changed"]}]}}
    )


class Added(_WithoutBefore):
    """A new category."""


class Updated(_Data):
    """A category with another parent, name or leaf flag than before."""

    before: CategoryModel = Field(description="The category before this event.")
    changed: list[Literal["parent_id", "local_name", "is_leaf"]] = Field(
        min_length=1,
        description="The fields that differ, in the order of the row.",
        json_schema_extra={"uniqueItems": True},
    )


class Removed(_WithoutBefore):
    """A category that does not exist any more; `category` is its last known state."""


DATA: Final[dict[str, type[_Data]]] = {"added": Added, "updated": Updated, "removed": Removed}


def write(folder: Path) -> list[Path]:
    """Write all schemas and examples into `folder`; return the changed files."""
    different = dict(_different_files(folder))
    for path, content in different.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(different)


def check(folder: Path) -> None:
    """Raise SchemasDiffer with the files that `write` would change, if any."""
    if different := [str(path) for path, _ in _different_files(folder)]:
        raise SchemasDiffer(
            f"not as generated: {', '.join(different)}: run `category-publisher schemas`"
        )


def _different_files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield each file that is missing or differs, with its right content."""
    files = {
        "category.schema": _schema_with_id("urn:category-publisher:category:1", CategoryModel),
        "meta.schema": _schema_with_id("urn:category-publisher:meta:1", MetaModel),
        **{f"category.{change}.schema": _event_schema(change) for change in DATA},
        **{f"examples/{name}": example for name, example in _examples().items()},
    }
    for name, value in files.items():
        path = folder / f"{name}.json"
        content = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if not path.is_file() or path.read_bytes() != content:
            yield path, content


def _schema_with_id(urn: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, "$id": urn, **schema}


def _event_schema(change: str) -> dict[str, Any]:
    event_type = EVENT_TYPES[change]
    fields = {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "pattern": "^[0-9a-f]{8}-[1-9][0-9]*-[0-9a-f]{16}$",
            "description": "Epoch, sequence without zeros and digest; drop duplicates by it.",
        },
        "source": {"type": "string", "pattern": "^/catalogs/[a-z0-9][a-z0-9-]{0,62}$"},
        "type": {"const": event_type},
        "subject": {"type": "string", "minLength": 1, "description": "The category's id."},
        "time": {**_field(Time), "description": "When the commit was made: RFC 3339, UTC."},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": DATASCHEMAS[change]},
        "epoch": _field(Epoch),
        "sequence": {
            "type": "string",
            "pattern": "^[0-9]{20}$",
            "description": "20 digits, +1 per event of the epoch; sorts as text.",
        },
        "data": _schema_with_id(DATASCHEMAS[change], DATA[change]),
    }
    return {
        "$schema": DIALECT,
        "$id": f"urn:category-publisher:event:{event_type}:1",
        "title": event_type,
        "description": "A CloudEvents 1.0 JSON object in structured mode, one stream entry.",
        "type": "object",
        "properties": fields,
        "required": list(fields),
    }


def _field(annotation: Any) -> dict[str, Any]:
    return TypeAdapter(annotation).json_schema()


def _examples() -> dict[str, Any]:
    home = Category("600001", "0", "Home", is_leaf=False)
    supplies = Category("600001", "0", "Home Supplies", is_leaf=False)
    towels = Category("600002", "600001", "Towels", is_leaf=True)
    renaming = Change("updated", supplies, home)
    changes = [Change("added", towels), renaming, Change("removed", towels)]
    start = Position("9f3c1a2b", 104, digests.of_category(home))
    time = clock.rfc3339(datetime(2026, 11, 23, 9, 40, 3, 569_000, tzinfo=UTC))
    events = [orjson.loads(event) for event in encode("us", start, time, changes)]
    meta = {
        "contract": "1",
        "origin": Origin("tiktok_shop", locale="en-US", category_version="v2").to_json(),
        "epoch": start.epoch,
        "sequence": str(start.sequence + len(events)),
        "offset": "1795426803569-2",
        "digest": digests.text(reduce(digests.after, changes, start.digest)),
        "count": "1",
        "committed_at": time,
    }
    examples = {event["type"]: event for event in events}
    return {"category": orjson.loads(row(supplies)), "meta": meta, **examples}
