"""How a mapping stands, from what the user decided and the category as it is now. Pure.

Only the category's own row counts. That something above it was renamed is no reason: it still is
the same category. So it does not matter how one came to the row, by events or by a resync.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from consumers.contract.model import Category, Event
from consumers.mapping.model import Decision, Finding, Mapping, Status

VALID: Final = Finding("valid", "")
UNLINKED: Final = Finding("unlinked", "")
REMOVED: Final = Finding("broken", "removed")


def judge(decision: Decision | None, category: Category | None) -> Finding:
    """Return how a mapping with `decision` stands where its category's row is `category`.

    None is a category that is not there.
    """
    if decision is None:
        return UNLINKED
    if category is None:
        return REMOVED
    reason = "; ".join(_reasons(decision, category))
    if not category.is_leaf:
        return Finding("broken", reason)
    return Finding("review", reason) if reason else VALID


def judged(status: Status, finding: Finding, since: str, event: str | None) -> Status:
    """Return the status after `finding`: since when it has been so moves only if it is another."""
    if finding == (status.state, status.reason):
        return status
    return Status(*finding, since, event)


def followed(mapping: Mapping, events: Iterable[Event]) -> Mapping:
    """Return `mapping` after `events`, all of its category, one after the other.

    Judged one by one, `since` is the same however they are batched.
    """
    status = mapping.status
    for event in events:
        category = None if event.type == "removed" else event.category
        finding = judge(mapping.decision, category)
        status = judged(status, finding, event.time, event.checkpoint.position)
    return mapping._replace(status=status)


def _reasons(decision: Decision, category: Category) -> Iterator[str]:
    if not category.is_leaf:
        yield "no longer a leaf"
    if category.local_name != decision.local_name:
        yield f"renamed from {decision.local_name!r} to {category.local_name!r}"
    if category.parent_id != decision.parent_id:
        yield f"moved from parent {decision.parent_id!r} to {category.parent_id!r}"
