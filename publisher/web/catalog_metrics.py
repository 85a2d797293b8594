"""The metrics about each catalog, computed from its overview.

Ages are computed at each scrape, so they go on growing when nothing else happens. What cannot be
read has no sample, so that no metric states anything that is not known.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from publisher.state.redis_values import parse_number, parse_time
from publisher.status.overview import CatalogOverview

PREFIX: Final = "category_publisher"
MAX_CONSUMERS: Final = 100
"""Consumers of a catalog that have samples: whoever can write one name can write a million."""

Family: TypeAlias = type[GaugeMetricFamily | CounterMetricFamily]
Sample: TypeAlias = tuple[Sequence[str], float | None]
"""The values of the labels, and the number; None if it is not known."""


class CatalogGauge(NamedTuple):
    """A number of each catalog: metric name, help, and how to compute it."""

    name: str
    help: str
    value: Callable[[CatalogOverview, datetime], float | None]


def metric(
    kind: Family, name: str, text: str, labels: Sequence[str], samples: Iterable[Sample]
) -> Metric:
    """Return the metric `name` with those `samples` that have a number."""
    family = kind(f"{PREFIX}_{name}", text, labels=labels)
    for values, number in samples:
        if number is not None:
            family.add_metric(values, number)
    return family


gauge: Final = partial(metric, GaugeMetricFamily)
counter: Final = partial(metric, CounterMetricFamily)


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def _last_poll_failed(catalog: CatalogOverview, _now: datetime) -> float | None:
    outcome = "failed" if catalog.error else catalog.status.get("outcome")
    return None if outcome is None else float(outcome == "failed")


CATALOG_GAUGES: Final = (
    CatalogGauge(
        "snapshot_age_seconds",
        "Time since the beginning of the last poll whose snapshot was accepted.",
        lambda catalog, now: _seconds_between(parse_time(catalog.status.get("succeeded_at")), now),
    ),
    CatalogGauge(
        "last_poll_failed",
        "Whether the last poll failed, or the keys of the catalog cannot be read: 1 or 0.",
        _last_poll_failed,
    ),
    CatalogGauge(
        "next_poll_seconds",
        "Time until the next poll is due; overdue if negative.",
        lambda catalog, now: _seconds_between(now, parse_time(catalog.status.get("next_poll_at"))),
    ),
    CatalogGauge(
        "categories",
        "Categories in the state.",
        lambda catalog, _now: parse_number(catalog.meta.get("count")),
    ),
    CatalogGauge(
        "sequence",
        "Sequence of the state; it starts again with each epoch.",
        lambda catalog, _now: parse_number(catalog.meta.get("sequence")),
    ),
    CatalogGauge(
        "hold",
        "Whether a snapshot is withheld until it is approved: 1 or 0.",
        lambda catalog, _now: None if catalog.error else float(catalog.hold is not None),
    ),
)


def catalog_metrics(catalogs: Sequence[CatalogOverview], now: datetime) -> Iterator[Metric]:
    """Yield all gauges of `catalogs`, and the lags of their consumers."""
    for each in CATALOG_GAUGES:
        samples = (([catalog.catalog], each.value(catalog, now)) for catalog in catalogs)
        yield gauge(each.name, each.help, ["catalog"], samples)
    lags = [
        ([catalog.catalog, consumer], lag)
        for catalog in catalogs
        for consumer, lag in sorted(catalog.lags.items())[:MAX_CONSUMERS]
    ]
    yield gauge(
        "consumer_lag_events",
        "Events that a consumer is behind; absent if unknown, as in another epoch.",
        ["catalog", "consumer"],
        ((labels, lag.events) for labels, lag in lags),
    )
    yield gauge(
        "consumer_lag_seconds",
        "Time since the first commit that a consumer has not applied; 0 if there is none.",
        ["catalog", "consumer"],
        ((labels, lag.seconds) for labels, lag in lags),
    )
