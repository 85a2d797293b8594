"""The committed schemas and examples."""

from pathlib import Path

import orjson
import pytest
from jsonschema import ValidationError

from publisher import schemas
from publisher.errors import SchemasDiffer
from tests.support.messages import whole
from tests.support.paths import SCHEMAS
from tests.support.schemas import assert_valid_category, assert_valid_event, assert_valid_meta


def test_committed_files_are_as_generated() -> None:
    """A change of events without new schemas fails here."""
    schemas.check(SCHEMAS)


def test_check_names_the_differing_files(folder: Path) -> None:
    """The error names a missing file and a changed one."""
    schemas.write(folder)
    (folder / "meta.schema.json").unlink()
    (folder / "examples" / "category.json").write_text("{}")
    with pytest.raises(
        SchemasDiffer,
        match=whole(
            "not as generated: <any>/meta.schema.json, <any>/examples/category.json: run "
            "`category-publisher schemas`"
        ),
    ):
        schemas.check(folder)


@pytest.mark.parametrize("name", ["category.added", "category.updated", "category.removed"])
def test_examples_are_valid(name: str) -> None:
    """Each example event passes the schema of its type, and no other's."""
    event = orjson.loads((SCHEMAS / "examples" / f"{name}.json").read_bytes())
    assert_valid_event(event)
    for other in {"category.added", "category.updated", "category.removed"} - {name}:
        with pytest.raises(ValidationError):
            assert_valid_event({**event, "type": other})


def test_example_of_category_and_meta() -> None:
    """They are valid too."""
    assert_valid_category(orjson.loads((SCHEMAS / "examples/category.json").read_bytes()))
    assert_valid_meta(orjson.loads((SCHEMAS / "examples/meta.json").read_bytes()))


def test_unknown_fields_are_allowed() -> None:
    """A field may be added without a new dataschema (contract, 3)."""
    event = orjson.loads((SCHEMAS / "examples/category.added.json").read_bytes())
    assert_valid_event({**event, "traceparent": "00-…"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", "105"),
        ("time", "2026-11-23T09:40:03Z"),
        ("epoch", "9F3C1A2B"),
        ("id", "9f3c1a2b-0105-0f1e2d3c4b5a6978"),
        ("source", "/catalogs/US"),
        ("subject", ""),
    ],
)
def test_a_wrong_form_is_not_valid(field: str, value: str) -> None:
    """The forms of contract 2 and 3 are in the schemas."""
    event = orjson.loads((SCHEMAS / "examples/category.added.json").read_bytes())
    with pytest.raises(ValidationError):
        assert_valid_event({**event, field: value})
