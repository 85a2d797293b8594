"""The status page: what stands in Redis of each catalog, for people. Rendered here, no script.

Names come from outside, so nothing on it is made by joining texts (`elements`).
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple, Self
from xml.etree.ElementTree import Element

from plumbing import clock
from publisher.polling.daemon import Daemon
from publisher.status import phrases
from publisher.status.problems import Problem, problems
from publisher.web.elements import document, element
from publisher.web.overview_cache import OverviewResult

STYLE: Final = files("publisher.web").joinpath("style.css").read_text("utf-8")
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
    "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: this one style, and nothing else from anywhere."""
SHOWN: Final = 1000
"""Catalogs on the page, those with problems first; `category-publisher status` shows all."""
SHOWN_CONSUMERS: Final = 20
REFRESH_SECONDS: Final = 30
COLUMNS: Final = (
    *("catalog", "last poll", "outcome", "snapshot", "categories", "sequence", "last changes"),
    *("polled by", "consumers"),
)
OUTCOME_STYLES: Final = {
    "changed": "good",
    "unchanged": "good",
    "held": "held",
    "failed": "bad",
    "unreadable": "bad",
}
SIGNS: Final = {"added": "+", "updated": "~", "removed": "-"}

Judged = tuple[Mapping[str, Any], list[Problem]]
"""A catalog as `overview.read_overviews` gives it, and what is not fine about it."""


class PublisherInfo(NamedTuple):
    """What the page says of this publisher."""

    owner: str
    redis: str
    leases: int
    configured: frozenset[str]

    @classmethod
    def of(cls, daemon: Daemon) -> Self:
        """Return what `daemon` is and does just now."""
        address, leases = daemon.server.address, daemon.leases
        return cls(leases.owner, address, len(leases.held()), frozenset(daemon.catalogs))


def page(publisher: PublisherInfo, seen: OverviewResult) -> str:
    """Return the page about the catalogs `seen`, as a document of HTML. Asks nobody."""
    now, kept = clock.now(), publisher.configured
    found: list[Judged] = [
        (each, problems(each, now, kept=each["catalog"] in kept)) for each in seen.catalogs
    ]
    found.sort(key=lambda judged: _rank(judged[1]))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", **{"http-equiv": "refresh"}, content=str(REFRESH_SECONDS)),
        element("title", "category-publisher"),
        _style(),
    )
    body = element("body", *_top(publisher, seen, found, now), *_catalogs(found, now))
    return document(element("html", head, body, lang="en"))


def _style() -> Element:
    made = element("style")
    made.text = STYLE
    return made


def _rank(found: list[Problem]) -> int:
    """Order: what is broken, what waits for an approval, what is fine."""
    return 0 if any(not each.held for each in found) else 1 if found else 2


def _top(
    publisher: PublisherInfo, seen: OverviewResult, found: list[Judged], now: datetime
) -> Iterator[Element]:
    yield element("h1", "category-publisher")
    yield _verdict(seen, sum(bool(each) for _, each in found))
    yield element(
        "p",
        f"{publisher.leases} of {len(publisher.configured)} configured catalogs are polled here, "
        f"by {publisher.owner}; Redis at {publisher.redis}; {clock.rfc3339(now)}",
        class_="about",
    )


def _verdict(seen: OverviewResult, count: int) -> Element:
    if seen.error:
        return element("p", seen.error, class_="verdict bad")
    if count:
        text = f"{count} of {len(seen.catalogs)} catalogs have problems"
        return element("p", text, class_="verdict bad")
    return element("p", "everything is fine", class_="verdict good")


def _catalogs(found: list[Judged], now: datetime) -> Iterator[Element]:
    if not found:
        return
    heads = element("tr", *(element("th", column) for column in COLUMNS))
    bodies = [_catalog(each, about, now) for each, about in found[:SHOWN]]
    yield element("table", element("thead", heads), *bodies)
    if len(found) > SHOWN:
        yield element("p", f"… and {len(found) - SHOWN} more: see `category-publisher status`")


def _catalog(catalog: Mapping[str, Any], found: list[Problem], now: datetime) -> Element:
    cells = zip(COLUMNS, _cells(catalog, now), strict=True)
    row = element("tr", *(element("td", *inside, title=column) for column, inside in cells))
    details = list(_details(catalog, found))
    rest = [element("tr", element("td", *details, colspan=str(len(COLUMNS))))] if details else []
    return element("tbody", row, *rest, id=f"catalog-{catalog['catalog']}")


def _cells(catalog: Mapping[str, Any], now: datetime) -> Iterator[list[Element | str]]:
    meta, status = catalog["meta"], catalog["status"]
    outcome = phrases.outcome_of(catalog)
    yield [element("strong", catalog["catalog"])]
    yield [phrases.format_age(status.get("polled_at"), now)]
    yield [element("span", outcome, class_=_style_of(outcome))]
    yield [phrases.format_age(status.get("succeeded_at"), now)]
    yield [meta.get("count", "-")]
    yield [meta.get("sequence", "-")]
    yield [" ".join(f"{sign}{status.get(name, 0)}" for name, sign in SIGNS.items())]
    yield [catalog["lease"] or "-"]
    yield _consumers(catalog)


def _style_of(outcome: str) -> str:
    return OUTCOME_STYLES.get(outcome, "")


def _consumers(catalog: Mapping[str, Any]) -> list[Element | str]:
    lines = list(phrases.format_lags(catalog))
    more = [f"… and {len(lines) - SHOWN_CONSUMERS} more"] if len(lines) > SHOWN_CONSUMERS else []
    return [element("div", line) for line in [*lines[:SHOWN_CONSUMERS], *more]] or ["-"]


def _details(catalog: Mapping[str, Any], found: Iterable[Problem]) -> Iterator[Element]:
    for problem in found:
        yield element("div", problem.what, class_="held" if problem.held else "bad")
    hold = catalog["hold"]
    if hold is None:
        return
    for reason in hold.reasons:
        yield element("div", str(reason))
    yield element("pre", *_lines(_change(each) for each in hold.first))
    command = f"category-publisher approve {catalog['catalog']} {hold.digest}"
    yield element("div", "approve it with:", element("code", command))


def _lines(texts: Iterable[str]) -> Iterator[Element]:
    for text in texts:
        yield element("div", text)


def _change(change: Any) -> str:
    told = phrases.as_dict(change)
    category, before = phrases.as_dict(told.get("category")), phrases.as_dict(told.get("before"))
    sign = SIGNS.get(str(told.get("type", "")).removeprefix("category."), "?")
    was = "; ".join(
        f"{each} was {before.get(str(each))}" for each in phrases.as_list(told.get("changed"))
    )
    line = f"{sign} {category.get('id')} {category.get('local_name')}"
    return f"{line} ({was})" if was else line
