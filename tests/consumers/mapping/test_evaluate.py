"""The evaluation of a mapping depends on its link and the category's own row only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.contract.model import Category, Event
from consumers.mapping.evaluate import after_events, evaluate
from consumers.mapping.model import CategoryMapping, LinkedCategory, OwnCategory, Status
from tests.consumers.event_histories import histories
from tests.consumers.pretend_publisher import TIME

MUGS = Category("2", "1", "Mugs", is_leaf=True)
DECISION = LinkedCategory("2", "Mugs", "1", "Home > Mugs", TIME)
NEW = Status("valid", "", "2026-01-01T00:00:00.000Z", None)


@pytest.mark.parametrize(
    ("category", "state", "reason"),
    [
        (MUGS, "valid", ""),
        (None, "broken", "removed"),
        (MUGS._replace(is_leaf=False), "broken", "no longer a leaf"),
        (MUGS._replace(local_name="Cups"), "review", "renamed from 'Mugs' to 'Cups'"),
        (MUGS._replace(parent_id="9"), "review", "moved from parent '1' to '9'"),
        (
            MUGS._replace(local_name="M\x1b", parent_id="9"),
            "review",
            "renamed from 'Mugs' to 'M\\x1b'; moved from parent '1' to '9'",
        ),
        (
            MUGS._replace(local_name="Cups", is_leaf=False),
            "broken",
            "no longer a leaf; renamed from 'Mugs' to 'Cups'",
        ),
    ],
)
def test_state_and_reason_after_a_change(
    category: Category | None, state: str, reason: str
) -> None:
    """Removed or no leaf: broken. Another name or parent: review. With all reasons."""
    assert evaluate(DECISION, category) == (state, reason)
    assert evaluate(None, category) == ("unlinked", "")


@given(histories(), st.data())
def test_events_give_the_evaluation_of_the_last_row(
    events: list[Event], data: st.DataObject
) -> None:
    """State and `since` do not depend on batches, and events do not change the link."""
    one = data.draw(st.sampled_from([event.category for event in events]))
    mine = [event for event in events if event.category.id == one.id]
    decision = LinkedCategory(one.id, one.local_name, one.parent_id, one.local_name, TIME)
    mapping = CategoryMapping(OwnCategory("a", "A", "A"), decision, NEW)
    whole = after_events(mapping, mine)
    last = None if mine[-1].type == "removed" else mine[-1].category
    assert whole.status[:2] == evaluate(decision, last)
    assert whole._replace(status=NEW) == mapping
    cut = data.draw(st.integers(0, len(mine)))
    assert after_events(after_events(mapping, mine[:cut]), mine[cut:]) == whole
    if whole.status.since_event is not None:
        since = [event for event in mine if event.checkpoint.position == whole.status.since_event]
        assert [event.time for event in since] == [whole.status.since]
