"""How often HTTP requests read Redis."""

import asyncio
from pathlib import Path
from time import monotonic

from publisher.web.overview_cache import OverviewCache
from tests.publisher.web.conftest import Serve, Site, sources_of
from tests.support.valkey import Valkey


async def test_requests_share_a_read(site: Site) -> None:
    """Those at the same time get one result, and those soon after get it too."""
    cache = OverviewCache(site.daemon, lambda known: known)
    one, other = await asyncio.gather(cache.get(), cache.get())
    assert one is other
    assert [each.catalog for each in one.catalogs] == ["uk", "us"]
    cache._valid_until = monotonic() + 60
    assert await cache.get() is one
    cache._valid_until = 0.0
    assert await cache.get() is not one


async def test_an_error_is_not_cached(serve: Serve, folder: Path) -> None:
    """As soon as Redis is back, catalogs are read again."""
    with Valkey(folder) as valkey:
        site = await serve(valkey, **sources_of(["us"]))
        await site.wait_for("/readyz", "ready")
        cache = OverviewCache(site.daemon, lambda known: known)
        valkey.kill()
        failed = await cache.get()
        assert (failed.catalogs, f"unix://{folder}/s" in failed.error) == ([], True)
        valkey.start()
        await site.wait_for("/readyz", "ready")
        assert (await cache.get()).error == ""
