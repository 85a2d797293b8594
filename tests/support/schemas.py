"""Validation by the committed JSON Schemas, with an implementation that is not ours."""

from functools import cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from tests.support.paths import SCHEMAS


@cache
def validator(name: str) -> Draft202012Validator:
    """Return a validator of schemas/`name`.schema.json, formats checked."""
    schema = orjson.loads((SCHEMAS / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    registry: Registry[Any] = (Resource.from_contents(schema) @ Registry()).crawl()
    return Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())


def assert_valid_event(event: dict[str, Any]) -> None:
    """Raise unless `event` is what the schema of its type says."""
    validator(event["type"]).validate(event)


def assert_valid_category(row: dict[str, Any]) -> None:
    """Raise unless `row` is what the schema of a category says."""
    validator("category").validate(row)


def assert_valid_meta(meta: dict[str, str]) -> None:
    """Raise unless `meta` is what the schema of the meta hash says."""
    validator("meta").validate(meta)
