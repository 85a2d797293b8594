"""The metrics about each catalog, from overviews without Redis."""

from datetime import UTC, datetime
from typing import Any

import pytest

from publisher.core.model import Hold
from publisher.status.overview import Lag
from publisher.web.catalog_metrics import MAX_CONSUMERS, catalog_metrics
from tests.publisher.status.overviews import overview

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)


def samples(**parts: Any) -> dict[tuple[str, ...], float]:
    """Return all samples of one catalog: (short name, other labels…) → value."""
    return {
        (sample.name.removeprefix("category_publisher_"), *list(sample.labels.values())[1:]): (
            sample.value
        )
        for family in catalog_metrics([overview(**parts)], NOW)
        for sample in family.samples
    }


def test_a_catalog_with_a_hold() -> None:
    """Ages are computed at the moment of the scrape; overdue is negative."""
    status = {
        "outcome": "failed",
        "succeeded_at": "2026-11-23T09:39:00.000Z",
        "next_poll_at": "2026-11-23T09:39:30.000Z",
    }
    lags = {"mirror": Lag(3, 1.5), "odd": Lag(None, 9.0)}
    assert samples(status=status, hold=Hold("0" * 16), lags=lags) == {
        ("snapshot_age_seconds",): 60.0,
        ("last_poll_failed",): 1.0,
        ("next_poll_seconds",): -30.0,
        ("categories",): 3.0,
        ("sequence",): 7.0,
        ("hold",): 1.0,
        ("consumer_lag_events", "mirror"): 3.0,
        ("consumer_lag_seconds", "mirror"): 1.5,
        ("consumer_lag_seconds", "odd"): 9.0,
    }


@pytest.mark.parametrize("number", ["", "many", "nan", "inf", "9" * 5000])
def test_an_unknown_number_has_no_sample(number: str) -> None:
    """A metric states nothing that is not known."""
    found = samples(meta={"count": number, "sequence": number}, status={"succeeded_at": "x"})
    assert found == {("hold",): 0.0}


def test_a_catalog_that_cannot_be_read() -> None:
    """Its poll counts as failed; whether it has a hold is unknown."""
    assert samples(error="no hash", meta={}, status={}) == {("last_poll_failed",): 1.0}


def test_consumers_are_limited() -> None:
    """The number of names is limited.

    A client that can write one name can write a million.
    """
    lags = {f"consumer {number:04}": Lag(1, 1.0) for number in range(1000)}
    names = {labels[1] for labels in samples(lags=lags) if len(labels) > 1}
    assert names == set(sorted(lags)[:MAX_CONSUMERS])
