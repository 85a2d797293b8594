"""The input as peers see it: the source's answer, and what differs between two of them."""

from typing import Any, NamedTuple, TypeAlias

import orjson

FIELDS = ("id", "parent_id", "local_name", "is_leaf")
"""What is stored of a category; `permission_statuses` are not, by us neither."""

NOTHING = b'{"data":{"categories":[]}}'
"""The answer before the first list."""

Category: TypeAlias = dict[str, Any]


class Differences(NamedTuple):
    """What an honest peer finds between two lists."""

    added: list[Category]
    updated: list[Category]
    removed: list[Category]

    @property
    def total(self) -> int:
        """How many changes there are."""
        return len(self.added) + len(self.updated) + len(self.removed)


def parsed(body: bytes) -> list[Category]:
    """Return the categories in the source's answer."""
    rows = orjson.loads(body)["data"]["categories"]
    return [{name: row[name] for name in FIELDS} for row in rows]


def differences(old: list[Category], new: list[Category]) -> Differences:
    """Return what leads from `old` to `new`."""
    before = {row["id"]: row for row in old}
    after = {row["id"]: row for row in new}
    return Differences(
        [row for id_, row in after.items() if id_ not in before],
        [row for id_, row in after.items() if id_ in before and before[id_] != row],
        [row for id_, row in before.items() if id_ not in after],
    )


def must_be(found: Any, wanted: Any, what: str) -> None:
    """Raise ValueError unless a peer's result is as it has to be."""
    if found != wanted:
        raise ValueError(f"{what}: {_short(found)} where {_short(wanted)} should be")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004  a line or two
