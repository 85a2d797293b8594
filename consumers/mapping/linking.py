"""Checks the links that a user requests, and returns the new mappings. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import TextTable
from consumers.mapping.evaluate import UNLINKED, VALID, with_evaluation
from consumers.mapping.model import CategoryMapping, LinkedCategory, Mappings, MappingSnapshot
from consumers.mapping.tree import Tree


class LinkRequest(NamedTuple):
    """A request to link the own category `key` with a category.

    `location` begins a message about it, such as `line 2: `.
    """

    key: str
    category_id: str
    location: str = ""


def read_link_requests(table: TextTable) -> list[LinkRequest]:
    """Return a request for each row of `table` that has a `category_id`.

    Raises MappingRejected if the column `key` or `category_id` is missing.
    """
    if problems := table.column_problems("key", "category_id"):
        raise MappingRejected(f"{table.name}: nothing was linked", problems)
    pairs = ((row, row.cells["category_id"].strip()) for row in table.rows)
    return [
        LinkRequest(row.cells["key"].strip(), id_, f"{row.location}: ") for row, id_ in pairs if id_
    ]


def link(
    requests: Sequence[LinkRequest], snapshot: MappingSnapshot, now: str, *, replace: bool
) -> list[CategoryMapping]:
    """Return the mappings of `snapshot` after `requests`, linked `now` (RFC 3339).

    Linking with another category needs `replace`, unless the mapping is broken. Raises
    MappingRejected with all problems, and then nothing is linked.
    """
    problems = [*_invalid(requests, snapshot, replace=replace), *_conflicts(requests, snapshot)]
    if problems:
        raise MappingRejected("nothing was linked", problems)
    tree = Tree(snapshot.rows)
    mappings = []
    for key, id_, _ in requests:
        row = tree.rows[id_]
        linked = LinkedCategory(id_, row.local_name, row.parent_id, tree.path(id_), now)
        mappings.append(_with_link(snapshot.mappings[key], linked, now))
    return mappings


def unlink(keys: Sequence[str], mappings: Mappings, now: str) -> list[CategoryMapping]:
    """Return the mappings of `keys` without a link.

    Raises MappingRejected if a key is unknown.
    """
    check_known(keys, mappings, "nothing was unlinked")
    return [_with_link(mappings[key], None, now) for key in dict.fromkeys(keys)]


def check_known(keys: Sequence[str], mappings: Mappings, outcome: str) -> None:
    """Raise MappingRejected with `outcome` unless `mappings` has all of `keys`."""
    if problems := [_unknown_key(key) for key in keys if key not in mappings]:
        raise MappingRejected(outcome, problems)


def _with_link(
    mapping: CategoryMapping, linked: LinkedCategory | None, now: str
) -> CategoryMapping:
    """Return `mapping` after the user's decision: `linked`, or no link if None."""
    status = with_evaluation(mapping.status, VALID if linked else UNLINKED, now, None)
    return CategoryMapping(mapping.own, linked, status)


def _invalid(
    requests: Sequence[LinkRequest], snapshot: MappingSnapshot, *, replace: bool
) -> Iterator[str]:
    """Yield the problems of each request by itself."""
    for key, id_, where in requests:
        mapping, row = snapshot.mappings.get(key), snapshot.rows.get(id_)
        linked = mapping and mapping.linked
        if mapping is None:
            yield f"{where}{_unknown_key(key)}: import it first"
        elif linked and linked.id != id_ and mapping.status.state != "broken" and not replace:
            link = f"{linked.id!r} ({linked.local_name!r}, {mapping.status.state})"
            yield f"{where}key {key!r} is linked with {link}: use --replace to change that"
        if row is None:
            yield f"{where}there is no category {id_!r}"
        elif not row.is_leaf:
            yield f"{where}category {id_!r} ({row.local_name!r}) is not a leaf: choose one below it"


def _conflicts(requests: Sequence[LinkRequest], snapshot: MappingSnapshot) -> Iterator[str]:
    """Yield the problems of requests that share a key or a category."""
    requested = {request.key for request in requests}
    owners = {id_: key for id_, key in snapshot.linked_keys.items() if key not in requested}
    seen: set[str] = set()
    for key, id_, where in requests:
        if key in seen:
            yield f"{where}key {key!r} occurs twice"
        elif id_ in owners:
            yield f"{where}category {id_!r} is linked with key {owners[id_]!r}: unlink that first"
        seen.add(key)
        owners.setdefault(id_, key)


def _unknown_key(key: str) -> str:
    return f"no category of yours has key {key!r}"
