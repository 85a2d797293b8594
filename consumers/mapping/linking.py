"""What the links that a user wishes come to, or all that is against them. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from consumers.errors import MapRefused
from consumers.mapping.csv_table import Sheet
from consumers.mapping.evaluate import UNLINKED, VALID, judged
from consumers.mapping.model import Atlas, Decision, Mapping, Mappings
from consumers.mapping.tree import Tree


class Wish(NamedTuple):
    """The own category `key` is to be linked with a category; `place` says where that stands."""

    key: str
    category_id: str
    place: str = ""


def wishes_of(sheet: Sheet) -> list[Wish]:
    """Return the links that `sheet` asks for: its rows that name a category (`category_id`).

    Raises MapRefused if it has not the two columns.
    """
    if problems := sheet.lacks("key", "category_id"):
        raise MapRefused(f"{sheet.name}: nothing was linked", problems)
    pairs = ((row, row.cells["category_id"].strip()) for row in sheet.rows)
    return [Wish(row.cells["key"].strip(), id_, f"{row.place}: ") for row, id_ in pairs if id_]


def linked(wishes: Sequence[Wish], atlas: Atlas, now: str, *, replace: bool) -> list[Mapping]:
    """Return the mappings as `wishes` make them, decided `now` (RFC 3339).

    A link with another category than so far needs `replace`, unless the mapping is broken. Raises
    MapRefused with all that is wrong.
    """
    problems = [*_unfit(wishes, atlas, replace=replace), *_taken(wishes, atlas)]
    if problems:
        raise MapRefused("nothing was linked", problems)
    tree = Tree(atlas.rows)
    return [_linked(wish, atlas.mappings[wish.key], tree, now) for wish in wishes]


def unlinked(keys: Sequence[str], mappings: Mappings, now: str) -> list[Mapping]:
    """Return the mappings of `keys` without a link; MapRefused if one of them is not there."""
    check_known(keys, mappings, "nothing was unlinked")
    some = [mappings[key] for key in dict.fromkeys(keys)]
    return [Mapping(each.own, None, judged(each.status, UNLINKED, now, None)) for each in some]


def check_known(keys: Sequence[str], mappings: Mappings, outcome: str) -> None:
    """Raise MapRefused unless all of `keys` are own categories' keys."""
    if problems := [_unknown(key) for key in keys if key not in mappings]:
        raise MapRefused(outcome, problems)


def _linked(wish: Wish, mapping: Mapping, tree: Tree, now: str) -> Mapping:
    row = tree.rows[wish.category_id]
    decision = Decision(row.id, row.local_name, row.parent_id, tree.path(row.id), now)
    return Mapping(mapping.own, decision, judged(mapping.status, VALID, now, None))


def _unfit(wishes: Sequence[Wish], atlas: Atlas, *, replace: bool) -> Iterator[str]:
    """Tell which keys and categories cannot be linked, whatever the other links are."""
    for key, id_, place in wishes:
        mapping, row = atlas.mappings.get(key), atlas.rows.get(id_)
        if mapping is None:
            yield f"{place}{_unknown(key)}: import it first"
        elif not replace and (kept := _kept(mapping, id_)):
            yield f"{place}key {key!r} is linked with {kept}: --replace changes that"
        if row is None:
            yield f"{place}there is no category {id_!r}"
        elif not row.is_leaf:
            yield f"{place}category {id_!r} ({row.local_name!r}) is not a leaf: choose one below it"


def _taken(wishes: Sequence[Wish], atlas: Atlas) -> Iterator[str]:
    """Tell which links would not be one to one."""
    wished = {wish.key for wish in wishes}
    owners = {id_: key for id_, key in atlas.linked.items() if key not in wished}
    seen: set[str] = set()
    for key, id_, place in wishes:
        if key in seen:
            yield f"{place}key {key!r} is there twice"
        elif id_ in owners:
            yield f"{place}category {id_!r} belongs to key {owners[id_]!r}: unlink that first"
        seen.add(key)
        owners.setdefault(id_, key)


def _kept(mapping: Mapping, id_: str) -> str | None:
    """Tell which other link than one with `id_` stands; None if there is none to keep."""
    decision, state = mapping.decision, mapping.status.state
    if decision is None or decision.id == id_ or state == "broken":
        return None
    return f"{decision.id!r} ({decision.local_name!r}, {state})"


def _unknown(key: str) -> str:
    return f"no own category has key {key!r}"
