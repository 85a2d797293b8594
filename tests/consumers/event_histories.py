"""Forests and event histories from Hypothesis, independent of the publisher."""

import json
from typing import Any, TypeAlias

from hypothesis import strategies as st

from consumers.contract.event import Entry, decode
from consumers.contract.model import Category, Checkpoint, Event
from tests.consumers.pretend_publisher import History, row

Forest: TypeAlias = dict[str, Category]

BEGIN = Checkpoint("9f3c1a2b", 0, "0-0", "0" * 16)
NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=5
)


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    """Draw a forest: each category is a root, or a child of one drawn before it."""
    ids = draw(st.lists(st.sampled_from("123456789é"), unique=True, min_size=1, max_size=8))
    forest: Forest = {}
    for id_ in ids:
        parent_id = draw(st.sampled_from(["0", *forest]))
        forest[id_] = Category(id_, parent_id, draw(NAMES), draw(st.booleans()))
    return forest


FORESTS = forests()


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Draw the events, at least one, from an empty state through some forests."""
    history = History()
    documents: list[dict[str, Any]] = []
    for forest in draw(st.lists(FORESTS, min_size=1, max_size=4)):
        documents += history.go_to({id_: one._asdict() for id_, one in forest.items()})
    return decoded(documents)


def decoded(documents: list[dict[str, Any]]) -> list[Event]:
    """Return the events in `documents`, in the entries 1-1, 2-1, …."""
    entries = (
        Entry(f"{index}-1", json.dumps(document).encode())
        for index, document in enumerate(documents, start=1)
    )
    return [decode(entry, "us") for entry in entries]


def small_history() -> list[Event]:
    """Return three changes of category 1, after the addition of category 2."""
    history = History()
    other = row("2", "Other")
    trees = [[other], [other, row("1", "Home")], [other, row("1", "Home & Garden")], [other]]
    documents: list[dict[str, Any]] = []
    for rows in trees:
        documents += history.go_to({one["id"]: one for one in rows})
    return decoded(documents)
