"""Overviews of catalogs without Redis."""

from dataclasses import replace
from typing import Any

from plumbing import clock
from publisher.status.overview import CatalogOverview


def overview(name: str = "us", **parts: Any) -> CatalogOverview:
    """Return a catalog polled just now, without problems except for `parts`."""
    now = clock.rfc3339(clock.now())
    fine = CatalogOverview(
        catalog=name,
        error="",
        meta={"count": "3", "sequence": "7", "offset": "1-1"},
        status={"outcome": "unchanged", "polled_at": now, "succeeded_at": now},
        hold=None,
        lease=None,
        consumers={},
        rows=3,
        last_event="1-1",
        lags={},
    )
    return replace(fine, **parts)
