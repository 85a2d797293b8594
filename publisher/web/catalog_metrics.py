"""What the metrics tell of each catalog that is polled here: a table of gauges.

Ages are computed when asked for, so they go on growing when nothing else happens. What cannot be
read, or is not there yet, has no sample: a metric never says something that is not known.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from publisher.state.redis_values import moment

PREFIX: Final = "category_publisher"
CONSUMERS: Final = 100
"""Consumers of a catalog that are told: who may write a name may write a million."""

Overview = Mapping[str, Any]
"""Of one catalog, as `overview.read_overviews` gives it."""


class Gauge(NamedTuple):
    """A number of each catalog: its name, what it says, and how to get it at a moment."""

    name: str
    help: str
    value: Callable[[Overview, datetime], float | None]


def _number(text: Any) -> float | None:
    try:
        found = float(text)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _seconds_since(text: str | None, now: datetime) -> float | None:
    then = moment(text)
    return None if then is None else (now - then).total_seconds()


def _failed(catalog: Overview, _now: datetime) -> float | None:
    if catalog["error"]:
        return 1.0
    outcome = catalog["status"].get("outcome")
    return None if outcome is None else float(outcome == "failed")


def _held(catalog: Overview, _now: datetime) -> float | None:
    return None if catalog["error"] else float(catalog["hold"] is not None)


def _until_due(catalog: Overview, now: datetime) -> float | None:
    late = _seconds_since(catalog["status"].get("next_poll_at"), now)
    return None if late is None else -late


OF_CATALOGS: Final = (
    Gauge(
        "snapshot_age_seconds",
        "Time since the beginning of the last poll whose snapshot was accepted.",
        lambda each, now: _seconds_since(each["status"].get("succeeded_at"), now),
    ),
    Gauge(
        "last_poll_failed",
        "Whether the last poll failed, or the keys of the catalog cannot be read: 1 or 0.",
        _failed,
    ),
    Gauge("next_poll_seconds", "Time until the next poll is due; overdue if negative.", _until_due),
    Gauge(
        "categories",
        "Categories in the state.",
        lambda each, _now: _number(each["meta"].get("count")),
    ),
    Gauge(
        "sequence",
        "Sequence of the state; it begins anew with an epoch.",
        lambda each, _now: _number(each["meta"].get("sequence")),
    ),
    Gauge(
        "hold",
        "Whether a snapshot is withheld until it is approved: 1 or 0.",
        _held,
    ),
)


def families(catalogs: Iterable[Overview], now: datetime) -> Iterator[Metric]:
    """Yield all gauges of `catalogs`, whose leases are held here."""
    told = list(catalogs)
    for gauge in OF_CATALOGS:
        family = GaugeMetricFamily(f"{PREFIX}_{gauge.name}", gauge.help, labels=["catalog"])
        for catalog in told:
            value = gauge.value(catalog, now)
            if value is not None:
                family.add_metric([catalog["catalog"]], value)
        yield family
    yield from _lags(told)


def _lags(catalogs: Iterable[Overview]) -> Iterator[Metric]:
    labels = ["catalog", "consumer"]
    events = GaugeMetricFamily(
        f"{PREFIX}_consumer_lag_events",
        "Events that a consumer is behind; absent if unknown, as in another epoch.",
        labels=labels,
    )
    seconds = GaugeMetricFamily(
        f"{PREFIX}_consumer_lag_seconds",
        "Time since the first commit that a consumer has not applied; 0 if there is none.",
        labels=labels,
    )
    for catalog in catalogs:
        for consumer, lag in sorted(catalog["lags"].items())[:CONSUMERS]:
            of = [catalog["catalog"], consumer]
            seconds.add_metric(of, lag.seconds)
            if lag.events is not None:
                events.add_metric(of, lag.events)
    yield events
    yield seconds
