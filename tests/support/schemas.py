"""Validate against the committed JSON Schemas, with a library."""

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
    """Raise ValidationError unless `event` is valid under the schema of its type."""
    validator(event["type"]).validate(event)


def assert_valid_category(row: dict[str, Any]) -> None:
    """Raise ValidationError unless `row` is valid under the schema of a category."""
    validator("category").validate(row)


def assert_valid_meta(meta: dict[str, str]) -> None:
    """Raise ValidationError unless `meta` is valid under the schema of the meta hash."""
    validator("meta").validate(meta)
