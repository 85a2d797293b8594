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
"""The most consumers of a catalog that get samples: anybody may write a million names."""

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


def _snapshot_age(overview: CatalogOverview, now: datetime) -> float | None:
    then = parse_time(overview.status.get("succeeded_at"))
    return (now - then).total_seconds() if then else None


def _seconds_to_next_poll(overview: CatalogOverview, now: datetime) -> float | None:
    due = parse_time(overview.status.get("next_poll_at"))
    return (due - now).total_seconds() if due else None


def _last_poll_failed(overview: CatalogOverview, _now: datetime) -> float | None:
    outcome = "failed" if overview.error else overview.status.get("outcome")
    return None if outcome is None else float(outcome == "failed")


CATALOG_GAUGES: Final = (
    CatalogGauge(
        "snapshot_age_seconds",
        "Time since the beginning of the last poll whose snapshot was accepted.",
        _snapshot_age,
    ),
    CatalogGauge(
        "last_poll_failed",
        "Whether the last poll failed, or the keys of the catalog cannot be read: 1 or 0.",
        _last_poll_failed,
    ),
    CatalogGauge(
        "next_poll_seconds",
        "Time until the next poll is due; overdue if negative.",
        _seconds_to_next_poll,
    ),
    CatalogGauge(
        "categories",
        "Categories in the state.",
        lambda overview, _now: parse_number(overview.meta.get("count")),
    ),
    CatalogGauge(
        "sequence",
        "Sequence of the state; it starts again with each epoch.",
        lambda overview, _now: parse_number(overview.meta.get("sequence")),
    ),
    CatalogGauge(
        "hold",
        "Whether a snapshot is held until it is approved: 1 or 0.",
        lambda overview, _now: None if overview.error else float(overview.hold is not None),
    ),
)


def catalog_metrics(overviews: Sequence[CatalogOverview], now: datetime) -> Iterator[Metric]:
    """Yield all gauges of `overviews`, and the lags of their consumers."""
    for each in CATALOG_GAUGES:
        samples = (([overview.catalog], each.value(overview, now)) for overview in overviews)
        yield gauge(each.name, each.help, ["catalog"], samples)
    lags = [
        ([overview.catalog, consumer], lag)
        for overview in overviews
        for consumer, lag in sorted(overview.lags.items())[:MAX_CONSUMERS]
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
