"""Texts, signs and levels that the terminal and the page share.

The texts may contain anything that somebody wrote into Redis: the caller has to escape them.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from plumbing.text import format_duration
from publisher.core.model import Counts
from publisher.state.redis_values import parse_time
from publisher.status.overview import CatalogOverview

SIGNS: Final = {"added": "+", "updated": "~", "removed": "-"}
"""The sign of each type of change."""
OUTCOME_LEVELS: Final = {
    "changed": "good",
    "unchanged": "good",
    "held": "held",
    "failed": "bad",
    "unreadable": "bad",
}
"""How good the outcome of a poll is."""


def outcome_level(outcome: str) -> str:
    """Return `good`, `held`, `bad`, or `neutral` for an outcome that is not known."""
    return OUTCOME_LEVELS.get(outcome, "neutral")


def format_counts(counts: Counts) -> str:
    """Return e.g. `3 added, 1 updated, 0 removed`."""
    return ", ".join(f"{number} {name}" for name, number in counts._asdict().items())


def format_signed_counts(status: Mapping[str, str]) -> str:
    """Return the numbers of changes in a `status` hash, e.g. `+3 ~1 -0`."""
    return " ".join(f"{sign}{status.get(name, 0)}" for name, sign in SIGNS.items())


def format_age(text: str | None, now: datetime) -> str:
    """Return how long ago the time in `text` was; `text` itself if it is not a time."""
    then = parse_time(text)
    return f"{format_duration(now - then)} ago" if then else text or "-"


def format_lags(overview: CatalogOverview) -> Iterator[str]:
    """Yield a line for each consumer of a catalog, by name: how far it is behind."""
    for name, lag in sorted(overview.lags.items()):
        if lag.events is None:
            yield f"{name}: in another epoch, or unreadable"
        elif lag.events:
            yield f"{name}: {lag.events} events ({lag.seconds:.0f} s) behind"
        else:
            yield f"{name}: in sync"


def held_change_type(change: Mapping[str, Any]) -> str:
    """Return the type of a change in a stored hold: a key of SIGNS, or anything else."""
    return str(change.get("type", "")).removeprefix("category.")


def format_held_change(change: Mapping[str, Any]) -> str:
    """Return a change in a stored hold, e.g. `~ 12 Toys`. Any field may be missing."""
    category = as_dict(change.get("category"))
    sign = SIGNS.get(held_change_type(change), "?")
    return f"{sign} {category.get('id')} {category.get('local_name')}"


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """Return `value` if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}
