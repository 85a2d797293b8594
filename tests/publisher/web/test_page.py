"""The status page, as a browser sees it."""

import asyncio
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from publisher.core.model import Hold
from publisher.status.overview import CatalogOverview, Lag
from publisher.web.overview_cache import OverviewResult
from publisher.web.page import (
    POLICY,
    STYLE,
    PublisherInfo,
    _describe_held_change,
    render_page,
)
from tests.publisher.status.overviews import overview
from tests.publisher.web.conftest import Site
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide
from tests.support.waiting import PATIENCE

MARKUP = '<img src=x onerror="document.title=1"><script>document.title=1</script>&amp;'


async def open_in_browser(site: Site, folder: Path) -> str:
    """Return the page's document as chromium builds it, or skip the test."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("a browser is not here: install the system package chromium")
    return await asyncio.to_thread(_dump_document, browser, site.url, folder)


def _dump_document(browser: str, url: str, folder: Path) -> str:
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    done = subprocess.run(
        [browser, *flags, f"--user-data-dir={folder}", "--dump-dom", url],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


async def test_markup_in_names_is_escaped(
    site: Site,
    sources: dict[str, ScriptedSource],
    folder: Path,
) -> None:
    """Markup in a category, a consumer and an error is shown as text; so is the hold."""
    await site.daemon.client.hset("catalog:{us}:consumers", MARKUP, orjson.dumps({"epoch": MARKUP}))
    sources["uk"].set_tree(tree(("1", "0", MARKUP, True), ("2", "0", "Toys", True)))
    site.daemon.replace({"uk": site.daemon.catalogs["uk"]}, [])
    await site.wait_for("/metrics", 'category_publisher_hold{catalog="uk"} 1.0')
    text = await open_in_browser(site, folder)
    assert "<title>category-publisher</title>" in text
    assert not re.search("<(script|img)", text)
    assert "&lt;img src=x onerror=" in text
    hold = orjson.loads(await site.daemon.client.get("catalog:{uk}:hold") or b"")
    assert f"<code>category-publisher approve uk {hold['digest']}</code>" in text
    assert "28 of 30 categories" in text
    assert "\\x20" not in text
    assert "local_name was name 1" in text
    assert text.index('id="catalog-uk"') < text.index('id="catalog-us"')


async def test_the_headers_forbid_everything_but_the_style(site: Site) -> None:
    """Nothing is loaded, run, framed or cached; the style has the policy's hash."""
    async with site.session.get(site.url) as answer:
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        text = await answer.text()
    assert "everything is fine" in text
    assert f"<style>{STYLE}</style>" in text
    assert b64encode(sha256(STYLE.encode()).digest()).decode() in POLICY


PUBLISHER = PublisherInfo("host:1:a:b", "redis://localhost:6379/0", 1, frozenset({"us"}))


def render(*catalogs: CatalogOverview) -> str:
    return render_page(PUBLISHER, OverviewResult(list(catalogs)))


def order_on_page(text: str, names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: text.index(f'id="catalog-{name}"'))


def test_broken_catalogs_come_first() -> None:
    """Then those with a hold, then those without problems, each by name."""
    held = overview("c", hold=Hold("0123456789abcdef"))
    failed = overview("d", status={"outcome": "failed", "error": "HTTP 500"})
    text = render(overview("a"), overview("b"), held, failed)
    assert order_on_page(text, "abcd") == ["d", "c", "a", "b"]
    assert "2 of 4 catalogs have problems" in text


@pytest.mark.parametrize(
    "hold",
    [{}, {"reasons": 3, "first": "x"}, {"first": [None, {"category": []}, {"changed": 1}]}, {"first": [{"before": 1, "changed": [{}]}]}],
)  # fmt: skip
def test_a_hold_of_any_form_is_shown(hold: dict[str, Any]) -> None:
    """Whatever somebody writes into the key, it is a hold."""
    assert "a snapshot has been held since an unknown time" in render(
        overview("us", hold=Hold.from_json(orjson.dumps(hold)))
    )


def test_each_cell_has_its_heading() -> None:
    """A narrow screen shows the titles of cells in place of the headings."""
    text = render(overview())
    headings = re.findall("<th>(.*?)</th>", text)
    assert len(headings) == 9
    assert re.findall('<td title="(.*?)">', text) == headings


def test_a_hostile_name_is_escaped_everywhere() -> None:
    """In text, in the attribute and in the command to approve."""
    text = render(overview('"><b>\u202e', hold=Hold("0" * 16), lags={"<b>": Lag(0, 0.0)}))
    assert "<b>" not in text
    assert "\u202e" not in text
    assert text.count("&#34;&gt;&lt;b&gt;\\u202e") == 3


def test_many_catalogs_and_consumers() -> None:
    """The page shows a limited number of each, and how many more there are."""
    many = {f"c{number}": Lag(0, 0.0) for number in range(50)}
    fine = [overview(f"a{number}") for number in range(1200)]
    text = render(*fine, overview("us", lags=many))
    assert "… and 201 more" in text
    assert len(text) < 2_000_000
    assert "… and 30 more" in render(overview("us", lags=many))


async def test_a_direction_mark_is_escaped(site: Site, sources: dict[str, ScriptedSource]) -> None:
    """A name cannot make the page seem to say something else."""
    rows = {**wide(1), **tree(("2", "0", "a\u202eb", True))}
    sources["us"].set_tree(rows)
    site.daemon.replace({"us": site.daemon.catalogs["us"]}, [])
    await site.wait_for("/metrics", 'category_publisher_hold{catalog="us"} 1.0')
    assert "\u202e" not in await site.text("/")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {
                "type": "category.updated",
                "category": {"id": "12", "local_name": "Toys"},
                "before": {"local_name": "Games", "is_leaf": True},
                "changed": ["local_name", "is_leaf"],
            },
            "~ 12 Toys (local_name was Games; is_leaf was True)",
        ),
        ({"type": "category.added", "category": {"id": "1", "local_name": "A"}}, "+ 1 A"),
        ({"changed": ["x"]}, "? None None (x was None)"),
    ],
)
def test_a_held_change(change: dict[str, Any], line: str) -> None:
    """It has the old value of each field that would change."""
    assert _describe_held_change(change) == line
