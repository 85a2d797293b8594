"""The strict rule (contract, 5.6)."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.contract import digest
from consumers.contract.continuity import check_continuity
from consumers.contract.model import Category, Checkpoint, Event
from tests.consumers.event_histories import BEGIN, histories, small_history

HISTORIES = histories()


def applied(events: Sequence[Event]) -> dict[str, Category]:
    """Return the rows of a consumer that has applied `events`."""
    rows: dict[str, Category] = {}
    for event in events:
        rows[event.category.id] = event.category
        if event.type == "removed":
            del rows[event.category.id]
    return rows


@pytest.mark.contract("5.6")
@given(HISTORIES, st.data())
def test_a_history_connects_from_any_checkpoint(events: list[Event], data: st.DataObject) -> None:
    """After any number of applied events the others connect, up to the rows' digest."""
    done = data.draw(st.integers(0, len(events)))
    checkpoint = events[done - 1].checkpoint if done else BEGIN
    for rows in (applied(events[:done]), None):
        continuity = check_continuity(checkpoint, events[done:], rows)
        assert continuity == (events[done:], events[-1].checkpoint, None)
    assert events[-1].digest == digest.of_state(applied(events).values())


@pytest.mark.contract("5.6")
@given(HISTORIES, st.data())
def test_a_missing_event_breaks_it(events: list[Event], data: st.DataObject) -> None:
    """The events before the gap connect, those after it do not."""
    gap = data.draw(st.integers(0, len(events) - 1))
    continuity = check_continuity(BEGIN, events[:gap] + events[gap + 1 :], {})
    assert continuity.events == events[:gap]
    assert (continuity.break_reason is None) == (gap == len(events) - 1)


@pytest.mark.contract("5.6")
@given(HISTORIES, st.data())
def test_a_duplicate_breaks_it(events: list[Event], data: st.DataObject) -> None:
    """No event is skipped because it is older: a duplicate is another history."""
    twice = data.draw(st.integers(1, len(events)))
    continuity = check_continuity(BEGIN, [*events[:twice], events[twice - 1], *events[twice:]], {})
    assert continuity.events == events[:twice]
    assert continuity.break_reason is not None
    assert "does not follow" in continuity.break_reason


@pytest.mark.contract("5.6")
@given(HISTORIES, st.data())
def test_another_content_breaks_it(events: list[Event], data: st.DataObject) -> None:
    """An event whose category was changed does not lead to its own digest."""
    which = data.draw(st.integers(0, len(events) - 1))
    event = events[which]
    forged = event._replace(category=event.category._replace(parent_id="forged"))
    keeping: list[dict[str, Category] | None] = [{}, None]
    for rows in keeping:
        continuity = check_continuity(BEGIN, [*events[:which], forged, *events[which + 1 :]], rows)
        if event.type == "removed" and rows is not None:
            continue  # of a removal the consumer's own row counts, not the event's
        assert continuity.events == events[:which]
        assert continuity.break_reason is not None
        assert "leads to digest" in continuity.break_reason


@pytest.mark.contract("5.6")
@given(HISTORIES, st.data())
def test_the_own_row_counts(events: list[Event], data: st.DataObject) -> None:
    """A wrong own row is noticed at the first event about its category."""
    done = data.draw(st.integers(0, len(events) - 1))
    rows = applied(events[:done])
    id_ = events[done].category.id
    rows[id_] = rows.get(id_, Category(id_, "0", "x", is_leaf=True))._replace(local_name="forged")
    checkpoint = events[done - 1].checkpoint if done else BEGIN
    assert check_continuity(checkpoint, events[done:], rows).events == []
    assert check_continuity(checkpoint, events[done:], None).events == events[done:]


@pytest.mark.contract("5.6")
def test_a_missing_row() -> None:
    """An update or a removal of a category without a row does not connect."""
    _, added, updated, removed = small_history()
    assert check_continuity(added.checkpoint, [updated], {}).events == []
    assert check_continuity(updated.checkpoint, [removed], {}).events == []


@pytest.mark.contract("5.6")
@pytest.mark.parametrize(
    "checkpoint",
    [
        BEGIN._replace(epoch="00000000"),
        BEGIN._replace(epoch="ffffffff"),
        BEGIN._replace(sequence=1),
        BEGIN._replace(sequence=-1),
        BEGIN._replace(digest="0000000000000001"),
        BEGIN._replace(digest="f" * 16),
    ],
    ids=lambda checkpoint: checkpoint.position,
)
def test_another_position(checkpoint: Checkpoint) -> None:
    """With another epoch, sequence or digest no event connects."""
    continuity = check_continuity(checkpoint, small_history(), {})
    assert (continuity.events, continuity.checkpoint) == ([], checkpoint)
    assert continuity.break_reason


@pytest.mark.contract("5.6")
def test_the_offset_is_no_part_of_the_position() -> None:
    """Events connect, and their offset does not matter."""
    events = small_history()
    assert check_continuity(BEGIN._replace(offset="77-7"), events, {}).events == events


@pytest.mark.contract("5.6")
def test_no_events() -> None:
    """Without events there is no gap, and the checkpoint is returned."""
    assert check_continuity(BEGIN, [], {}) == ([], BEGIN, None)
