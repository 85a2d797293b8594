"""The input as peers parse it, and the differences of two lists."""

from typing import Any, NamedTuple, TypeAlias

import orjson

FIELDS = ("id", "parent_id", "local_name", "is_leaf")
"""The stored fields; we do not store `permission_statuses` either."""

NOTHING = b'{"data":{"categories":[]}}'
"""The answer before the first list."""

Category: TypeAlias = dict[str, Any]


class Differences(NamedTuple):
    """The differences that a correct peer finds between two lists."""

    added: list[Category]
    updated: list[Category]
    removed: list[Category]

    @property
    def total(self) -> int:
        """The number of changes."""
        return len(self.added) + len(self.updated) + len(self.removed)


def parse(body: bytes) -> list[Category]:
    """Return the categories in the source's answer."""
    rows = orjson.loads(body)["data"]["categories"]
    return [{name: row[name] for name in FIELDS} for row in rows]


def differences(old: list[Category], new: list[Category]) -> Differences:
    """Return the changes from `old` to `new`."""
    before = {row["id"]: row for row in old}
    after = {row["id"]: row for row in new}
    return Differences(
        [row for id_, row in after.items() if id_ not in before],
        [row for id_, row in after.items() if id_ in before and before[id_] != row],
        [row for id_, row in before.items() if id_ not in after],
    )


def check_equal(actual: Any, expected: Any, what: str) -> None:
    """Raise ValueError unless a peer's result is the expected one."""
    if actual != expected:
        raise ValueError(f"{what}: {_shorten(actual)} instead of {_shorten(expected)}")


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004  a line or two
