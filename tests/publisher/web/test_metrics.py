"""The metrics: their values, their formats, and that docs/metrics.md lists each."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from plumbing.redis.replies import as_text
from publisher.errors import ShopClosed
from publisher.sources import Answer
from publisher.sources.tiktok.stand_ins import StandInSource
from tests.publisher.web.conftest import Serve, Site, sources_of
from tests.support.paths import DOCS
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
ODD = 'a"b\\c\n<b>\u202e'
METRICS_PAGE = DOCS / "metrics.md"
HEADERS = Path(__file__).parent / "metrics.txt"


async def scraped(site: Site) -> dict[tuple[str, ...], float]:
    """Return all samples: (name, label values…) → value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_format(await site.text("/metrics"))
        for sample in family.samples
    }


async def test_metrics_of_catalogs(site: Site) -> None:
    """Size, sequence, age, hold, lease, changes and the lags of consumers."""
    checkpoint = {"epoch": "0" * 8, "sequence": 3, "offset": "0-0"}
    await site.daemon.client.hset("catalog:{us}:consumers", ODD, orjson.dumps(checkpoint))
    epoch = await site.daemon.client.hget("catalog:{us}:meta", "epoch")
    checkpoint["epoch"] = as_text(epoch)
    await site.daemon.client.hset("catalog:{us}:consumers", "mirror", orjson.dumps(checkpoint))
    await site.wait_for(
        "/metrics", 'category_publisher_consumer_lag_events{catalog="us",consumer="mirror"} 27.0'
    )
    found = await scraped(site)
    about = {name[0]: value for name, value in found.items() if name[1:] == ("us",)}
    assert about.pop("category_publisher_snapshot_age_seconds") < PATIENCE
    assert 0 < about.pop("category_publisher_next_poll_seconds") <= 3600 * 1.1
    assert about == {
        "category_publisher_last_poll_failed": 0,
        "category_publisher_categories": 30,
        "category_publisher_sequence": 30,
        "category_publisher_hold": 0,
        "category_publisher_lease_held": 1,
        "category_publisher_poll_interval_seconds": 3600,
    }
    assert found["category_publisher_changes_total", "us", "added"] == 30
    assert found["category_publisher_changes_total", "us", "removed"] == 0
    assert found["category_publisher_consumer_lag_seconds", "us", "mirror"] < PATIENCE
    assert ("category_publisher_consumer_lag_events", "us", ODD) not in found
    assert ("category_publisher_consumer_lag_seconds", "us", ODD) in found


async def test_metrics_of_the_process(site: Site) -> None:
    """Polls by outcome, leases, tokens, Redis."""
    found = await scraped(site)
    assert found["category_publisher_poll_duration_seconds_count", "changed"] == 2
    assert found["category_publisher_poll_duration_seconds_count", "failed"] == 0
    assert found["category_publisher_leases",] == found["category_publisher_catalogs",] == 2
    assert found["category_publisher_ready",] == found["category_publisher_redis_up",] == 1
    expiry = "category_publisher_token_expiry_timestamp_seconds"
    assert found[expiry, "tokens.json", "access"] == 2_000_000_000
    assert found[expiry, "tokens.json", "refresh"] == 2_100_000_000
    assert not {sample for sample in found if sample[:2] == (expiry, "others.json")}
    assert found["category_publisher_redis_errors_total", "oom"] == 0


async def test_a_hold_and_a_failure(site: Site, sources: dict[str, ScriptedSource]) -> None:
    """Each is in its gauge and in the count of polls."""
    sources["us"].set_tree(tree(("1", "0")))
    sources["uk"].body = b"no tree"
    site.daemon.replace(site.daemon.catalogs, [])
    await site.wait_for(
        "/metrics",
        'category_publisher_hold{catalog="us"} 1.0',
        'category_publisher_last_poll_failed{catalog="uk"} 1.0',
        'category_publisher_poll_duration_seconds_count{outcome="held"} 1.0',
        'category_publisher_poll_duration_seconds_count{outcome="failed"} 1.0',
    )


async def test_an_error_of_redis_is_counted(site: Site, sources: dict[str, ScriptedSource]) -> None:
    """By the code of the server's error."""
    sources["us"].set_tree(wide(31))
    await site.daemon.client.config_set("maxmemory", 1)
    try:
        site.daemon.replace({"us": site.daemon.catalogs["us"]}, [])

        async def is_counted() -> bool:
            return (await scraped(site))["category_publisher_redis_errors_total", "oom"] > 0

        await eventually(is_counted)
    finally:
        await site.daemon.client.config_set("maxmemory", 0)


async def test_a_sum_over_publishers_counts_each_catalog_once(
    serve: Serve, empty_valkey: Valkey
) -> None:
    """Each publisher has samples only of catalogs whose leases it holds."""
    names = ["a", "b", "c", "d"]
    sites = [await serve(empty_valkey, **sources_of(names)) for _ in range(2)]

    async def is_each_counted_once() -> bool:
        answers = [await each.text("/metrics") for each in sites]
        found = [re.findall(r'publisher_categories\{catalog="(.)"', each) for each in answers]
        return all(len(each) == 2 for each in found) and sorted(chain(*found)) == names

    await eventually(is_each_counted_once)


async def test_a_meta_that_somebody_has_overwritten(site: Site) -> None:
    """What is no number has no sample, and all other samples stay."""
    await site.daemon.client.hset("catalog:{us}:meta", "count", "many")
    await site.daemon.client.hset("catalog:{us}:meta", "sequence", "9" * 5000)
    await site.daemon.client.hset("catalog:{us}:status", "succeeded_at", "long ago")

    async def are_gone() -> bool:
        found = await scraped(site)
        gone = ("categories", "sequence", "snapshot_age_seconds")
        return not any((f"category_publisher_{name}", "us") in found for name in gone)

    await eventually(are_gone)
    assert ("category_publisher_categories", "uk") in await scraped(site)


async def test_tools_can_read_them(site: Site) -> None:
    """The text format with promtool, OpenMetrics with the parser of prometheus-client."""
    checkpoint = b'{"epoch":"x","sequence":3,"offset":"0-0"}'
    await site.daemon.client.hset("catalog:{us}:consumers", ODD, checkpoint)
    plain = await site.text("/metrics")
    _, strict = await site.get("/metrics", Accept=OPEN_METRICS)
    assert strict.endswith("# EOF\n")
    assert {
        family.name
        for family in open_metrics(strict)  # type: ignore[no-untyped-call]
    } == {family.name.removesuffix("_info") for family in families(plain)}
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here: install the system package prometheus")
    done = await asyncio.to_thread(_promtool, plain)
    assert (done.returncode, done.stderr) == (0, "")


def _promtool(text: str) -> Any:
    return subprocess.run(
        ["promtool", "check", "metrics"],  # noqa: S607  wherever it is
        input=text, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False,
    )  # fmt: skip


def families(text: str) -> Iterator[Metric]:
    """Return all metrics but the times of creation, which are a parser's own."""
    return (each for each in text_format(text) if not each.name.endswith("_created"))


class Closed(ScriptedSource):
    """A shop that is closed."""

    async def fetch(self) -> Answer:
        """Refuse."""
        raise ShopClosed("the shop is inactive")


async def test_the_fallback_shop_that_answers_is_a_metric(
    serve: Serve, empty_valkey: Valkey, sources: dict[str, ScriptedSource]
) -> None:
    """By its number; a catalog without fallback shops has no sample."""
    market = StandInSource("us", [Closed(), sources["us"]])
    site = await serve(empty_valkey, us=market, uk=sources["uk"])
    text = await site.wait_for("/metrics", 'category_publisher_stand_in{catalog="us"} 1.0')
    assert 'stand_in{catalog="uk"}' not in text


async def test_each_metric_says_what_it_is(site: Site) -> None:
    """Help and type of our metrics are those of metrics.txt."""
    text = await site.text("/metrics")
    headers = re.findall(
        r"^# (?:HELP|TYPE) category_publisher_(?!\w+_created ).*", text, re.MULTILINE
    )
    assert headers == HEADERS.read_text().splitlines()


async def test_the_page_lists_each_metric(site: Site) -> None:
    """docs/metrics.md has each with its labels, and no other."""
    await site.wait_for("/metrics", 'category_publisher_sequence{catalog="us"} 30.0')
    epoch = as_text(await site.daemon.client.hget("catalog:{us}:meta", "epoch"))
    checkpoint = {"epoch": epoch, "sequence": 3, "offset": "0-0"}
    await site.daemon.client.hset("catalog:{us}:consumers", "mirror", orjson.dumps(checkpoint))
    await site.wait_for(
        "/metrics", 'category_publisher_consumer_lag_events{catalog="us",consumer="mirror"} 27.0'
    )
    found = {}
    for family in families(await site.text("/metrics")):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        counts = family.type == "counter"
        found[f"{family.name}_total" if counts else family.name] = labels
    ours = {name: labels for name, labels in found.items() if name.startswith("category_")}
    ours["category_publisher_stand_in"] = {"catalog"}
    rows = re.findall(
        r"^\| `(category_publisher_\w+)` \| (.*?) \|", METRICS_PAGE.read_text(), re.MULTILINE
    )
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == ours
