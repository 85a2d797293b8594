"""Evaluates a mapping: compares the linked category with its present row. Pure.

Only the category's own row counts: if one of its ancestors was renamed, it still is the same
category. So the result is the same whether events or a resync brought the row.
"""

from collections.abc import Iterable
from typing import Final

from consumers.contract.model import Category, Event, Snapshot
from consumers.mapping.model import CategoryMapping, Evaluation, LinkedCategory, Status

VALID: Final = Evaluation("valid", "")
UNLINKED: Final = Evaluation("unlinked", "")
REMOVED: Final = Evaluation("broken", "removed")


def evaluate(linked: LinkedCategory | None, category: Category | None) -> Evaluation:
    """Return the evaluation of a mapping whose category's row is now `category`.

    None means that the category does not exist.
    """
    if linked is None:
        return UNLINKED
    if category is None:
        return REMOVED
    reasons = [] if category.is_leaf else ["no longer a leaf"]
    if category.local_name != linked.local_name:
        reasons.append(f"renamed from {linked.local_name!r} to {category.local_name!r}")
    if category.parent_id != linked.parent_id:
        reasons.append(f"moved from parent {linked.parent_id!r} to {category.parent_id!r}")
    if not category.is_leaf:
        return Evaluation("broken", "; ".join(reasons))
    return Evaluation("review", "; ".join(reasons)) if reasons else VALID


def with_evaluation(status: Status, new: Evaluation, since: str, event: str | None) -> Status:
    """Return `status` if its evaluation is `new`, else `new` since the time `since`.

    `event` is the id of the event that caused it, None if a user or a resync did.
    """
    if new == (status.state, status.reason):
        return status
    return Status(*new, since, event)


def after_events(mapping: CategoryMapping, events: Iterable[Event]) -> CategoryMapping:
    """Return `mapping` after `events`, all of the linked category, in order.

    Each event is evaluated, so `since` does not depend on how events are batched.
    """
    status = mapping.status
    for event in events:
        category = None if event.type == "removed" else event.category
        evaluation = evaluate(mapping.linked, category)
        status = with_evaluation(status, evaluation, event.time, event.checkpoint.position)
    return mapping._replace(status=status)


def after_resync(mapping: CategoryMapping, snapshot: Snapshot) -> CategoryMapping:
    """Return `mapping` after a resync to `snapshot`."""
    category = snapshot.rows.get(mapping.linked.id) if mapping.linked else None
    evaluation = evaluate(mapping.linked, category)
    status = with_evaluation(mapping.status, evaluation, snapshot.committed_at, None)
    return mapping._replace(status=status)
