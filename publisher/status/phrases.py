"""What terminal and page say alike about a catalog. Plain text: who shows it makes it harmless."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from plumbing.text import format_duration
from publisher.core.model import Counts
from publisher.state.redis_values import moment
from publisher.status.overview import Lag


def format_counts(counts: Counts) -> str:
    """Return e.g. `3 added, 1 updated, 0 removed`."""
    return ", ".join(f"{number} {name}" for name, number in counts._asdict().items())


def format_age(text: str | None, now: datetime) -> str:
    """Say how long ago the time in `text` was; `text` itself if it holds none."""
    then = moment(text)
    return f"{format_duration(now - then)} ago" if then else text or "-"


def outcome_of(catalog: Mapping[str, Any]) -> str:
    """Say what came of the last poll of `catalog`, one of `overview.read_overviews`."""
    return catalog["status"].get("outcome") or (
        "unreadable" if catalog["error"] else "never polled"
    )


def format_lags(catalog: Mapping[str, Any]) -> Iterable[str]:
    """Say of each consumer of `catalog`, one of `overview.read_overviews`, how far it is behind."""
    for name, lag in sorted(catalog["lags"].items()):
        yield f"{name}: {_lag(lag)}"


def _lag(lag: Lag) -> str:
    if lag.events is None:
        return "in another epoch, or unreadable"
    return f"{lag.events} behind, {lag.seconds:.0f} s" if lag.events else "in step"


def as_list(value: Any) -> list[Any]:
    """Return a list that came from outside; an empty one if it is none."""
    return value if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """Return an object that came from outside; an empty one if it is none."""
    return value if isinstance(value, dict) else {}
