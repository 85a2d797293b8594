"""Catalogs for tests, with the defaults of the configuration."""

from dataclasses import replace
from typing import Any

from plumbing.config.settings import CatalogSettings, GuardSettings
from publisher.core.guard import Limits
from publisher.core.model import Origin
from publisher.polling.poll import Catalog
from publisher.sources import Source
from publisher.state.store import Store

ORIGIN = Origin("file")


def make_limits(**changes: Any) -> Limits:
    """Return the default limits with `changes`."""
    return Limits(**GuardSettings().model_dump())._replace(**changes)


def make_catalog(store: Store, source: Source, **changes: Any) -> Catalog:
    """Return the catalog of `store` with default settings but for `changes`."""
    settings = CatalogSettings(source="file", url="unused.json")
    catalog = Catalog(
        name=store.catalog,
        origin=ORIGIN,
        source=source,
        store=store,
        limits=make_limits(),
        max_age=settings.retention.max_age,
        max_events=settings.retention.max_events,
        poll_every=settings.poll_every,
        state_cache=None,
    )
    return replace(catalog, **changes)
