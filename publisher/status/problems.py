"""Is everything fine? Judges what `overview` gives of a catalog: pure.

Used wherever it is asked: `status` and its exit code, the page.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from publisher.core.schedule import OVERDUE
from publisher.state.redis_values import moment
from publisher.whole import faults

SLOW: Final = timedelta(minutes=5)
"""A consumer that is behind for longer does not just happen to be at work."""


class Problem(NamedTuple):
    """What is not fine about a catalog, as a sentence."""

    what: str
    held: bool = False
    """It waits for somebody's approval, and for nothing else."""


def problems(catalog: Mapping[str, Any], now: datetime, *, kept: bool = True) -> list[Problem]:
    """Return what is not fine about `catalog`, one of `overview.overviews`.

    `kept`: it is configured here, so somebody should poll it.
    """
    return [
        *_of_state(catalog, kept=kept),
        *map(Problem, faults(catalog)),
        *_of_polls(catalog, now, kept=kept),
        *_of_lags(catalog),
    ]


def _of_state(catalog: Mapping[str, Any], *, kept: bool) -> Iterator[Problem]:
    status, hold = catalog["status"], catalog["hold"]
    if catalog["error"]:
        yield Problem(f"it cannot be read: {catalog['error']}")
    elif not status:
        if kept:
            yield Problem("it was never polled: does `category-publisher run` run?")
    elif status.get("outcome") == "failed":
        yield Problem(f"the last poll failed: {status.get('error', '')}")
    elif not catalog["meta"] and hold is None:
        yield Problem("its state is gone: the next poll writes it anew")
    if hold is not None:
        yield Problem(f"a snapshot is held since {hold.get('since')}", held=True)


def _of_polls(catalog: Mapping[str, Any], now: datetime, *, kept: bool) -> Iterator[Problem]:
    due = moment(catalog["status"].get("next_poll_at"))
    if kept and due is not None and now - due > OVERDUE:
        minutes = (now - due) // timedelta(minutes=1)
        yield Problem(
            f"its poll is overdue by {minutes} minutes: does `category-publisher run` run, and can "
            "it write to Redis?"
        )


def _of_lags(catalog: Mapping[str, Any]) -> Iterator[Problem]:
    for name, lag in sorted(catalog["lags"].items()):
        if lag.events != 0 and lag.seconds > SLOW.total_seconds():
            minutes = int(lag.seconds // 60)
            behind = "in another epoch" if lag.events is None else f"{lag.events} events behind"
            yield Problem(f"consumer {name} is {behind} for {minutes} minutes: does it run?")
