"""Parses an answer of any form row by row, and reports what is wrong, and where.

This is the first half of contract, 6; `snapshot` checks what only the whole tree shows. An answer
is rejected with a BadSnapshot that names the row and the field; what is tolerated is returned as
warnings.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from publisher.core.model import FIELDS, MAX_CATEGORIES, ROOT, Category
from publisher.errors import BadSnapshot

TEXTS: Final = ("id", "parent_id", "local_name")
KNOWN_IN_ROW: Final = frozenset({*FIELDS, "permission_statuses"})
KNOWN_IN_DATA: Final = frozenset({"categories", "next_page_token", "total_count"})
KNOWN_IN_ENVELOPE: Final = frozenset({"code", "message", "request_id", "data"})
EXAMPLES: Final = 3
LONGEST_QUOTE: Final = 200


def parse(body: bytes, *, bare_list: bool) -> tuple[dict[str, Category], list[str]]:
    """Return the categories in `body` by id, and warnings, one sentence each.

    Raises BadSnapshot for anything but a list of valid rows. Whether they are a forest is not
    checked here.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadSnapshot(f"the answer ({len(body)} bytes) is not JSON: {error}") from None
    is_bare = bare_list and isinstance(found, list)
    rows, warnings = (found, []) if is_bare else _unwrap_envelope(found)
    if not rows:
        raise BadSnapshot("the list of categories is empty; a shop's tree never is")
    if len(rows) > MAX_CATEGORIES:
        raise BadSnapshot(f"{len(rows)} categories; a catalog holds at most {MAX_CATEGORIES}")
    tree: dict[str, Category] = {}
    duplicates: list[str] = []
    for index, row in enumerate(rows):
        category = _category(index, row)
        first = tree.setdefault(category.id, category)
        if first is not category:
            if first != category:
                raise BadSnapshot(f"category {quote(first.id)} is in the list twice, and differs")
            duplicates.append(category.id)
    if duplicates:
        warnings = [f"the same row twice: {examples(duplicates)}", *warnings]
    return tree, [*warnings, *_unknown_fields(KNOWN_IN_ROW, rows, "a category")]


def _unwrap_envelope(envelope: Any) -> tuple[list[Any], list[str]]:
    """Return the envelope's list of rows, and warnings."""
    if not isinstance(envelope, dict):
        raise BadSnapshot(f"the answer is {_kind(envelope)}, not the documented envelope")
    code = envelope.get("code")
    if type(code) is not int:
        raise BadSnapshot("the answer has no number `code`: it is not the documented envelope")
    if code != 0:
        raise BadSnapshot(
            f"the answer has code {code} ({quote(envelope.get('message'))}, request_id "
            f"{quote(envelope.get('request_id'))})"
        )
    data = envelope.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("categories"), list):
        raise BadSnapshot("the answer has no list `data.categories`")
    if data.get("next_page_token"):
        raise BadSnapshot(
            "the answer has a next_page_token: it is one page of a list, and no page is a tree"
        )
    rows, total = data["categories"], data.get("total_count")
    warnings = [
        *_unknown_fields(KNOWN_IN_ENVELOPE, [envelope], "the envelope"),
        *_unknown_fields(KNOWN_IN_DATA, [data], "`data`"),
    ]
    if isinstance(total, int) and total != len(rows):
        warnings.append(f"total_count is {total}, but the list has {len(rows)} categories")
    return rows, warnings


def _category(index: int, row: Any) -> Category:
    """Return the category in `row`. Raises BadSnapshot if `row` is not valid."""
    if not isinstance(row, dict):
        raise BadSnapshot(f"categories[{index}] is {_kind(row)}, not an object")
    for name in TEXTS:
        value = row.get(name)
        if type(value) is not str:
            raise BadSnapshot(f"categories[{index}].{name} {_mismatch(row, name)}, not text")
        if "\0" in value:
            raise BadSnapshot(f"categories[{index}].{name} holds a NUL character")
    if type(row.get("is_leaf")) is not bool:
        raise BadSnapshot(
            f"categories[{index}].is_leaf {_mismatch(row, 'is_leaf')}, not true or false"
        )
    category = Category(row["id"], row["parent_id"], row["local_name"], row["is_leaf"])
    if not category.id or not category.local_name:
        raise BadSnapshot(
            f"categories[{index}] has an empty {'local_name' if category.id else 'id'}"
        )
    if category.id == ROOT:
        raise BadSnapshot(f'categories[{index}] has the id "0", which means "no parent"')
    return category


def _unknown_fields(known: frozenset[str], objects: Iterable[Any], where: str) -> list[str]:
    unknown = sorted({key for each in objects for key in each if key not in known})
    return [f"unknown fields in {where}: {examples(unknown)}"] if unknown else []


def _mismatch(row: Mapping[str, Any], name: str) -> str:
    return f"is {_kind(row[name])}" if name in row else "is missing"


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")


def examples(names: list[str]) -> str:
    """Return the first of `names`, and the number of the others."""
    shown = ", ".join(quote(name) for name in names[:EXAMPLES])
    return f"{shown}{and_more(len(names), EXAMPLES)}"


def and_more(count: int, shown: int = 1) -> str:
    """Return how many of `count` are not `shown`; nothing if all are."""
    return f" (and {count - shown} more)" if count > shown else ""


def quote(value: Any) -> str:
    """Return text from outside as ASCII on one line, cut to LONGEST_QUOTE."""
    return ascii(value)[:LONGEST_QUOTE]
