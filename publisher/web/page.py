"""The status page: what Redis holds about each catalog, without scripts.

Names come from outside. So `page.html` is rendered with autoescape, and control characters are
escaped besides: a mark that turns the direction of writing is not markup, but could make the page
seem to say something else.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from plumbing import clock
from plumbing.text import escape_control_chars
from publisher.status import phrases
from publisher.status.phrases import as_dict, as_list
from publisher.status.problems import check_catalogs
from publisher.web.overview_cache import OverviewResult

STYLE: Final = files("publisher.web").joinpath("style.css").read_text("utf-8")
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
    "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: this one style, and nothing else from anywhere."""


class PublisherInfo(NamedTuple):
    """What the page says about this publisher."""

    owner: str
    redis: str
    leases: int
    configured: frozenset[str]


def render_page(publisher: PublisherInfo, result: OverviewResult) -> str:
    """Return the page about `result` as an HTML document. Reads nothing."""
    now = clock.now()
    catalogs = check_catalogs(result.catalogs, publisher.configured, now)
    # what is broken comes first, then what waits for an approval, then what is fine
    catalogs.sort(
        key=lambda each: (not each.problems, all(problem.is_hold for problem in each.problems))
    )
    return TEMPLATE.render(
        style=Markup(STYLE),  # noqa: S704  our own file, and its hash is in POLICY
        publisher=publisher,
        error=result.error,
        catalogs=catalogs,
        with_problems=sum(bool(each.problems) for each in catalogs),
        now=now,
        time=clock.rfc3339(now),
    )


def _describe_held_change(change: Mapping[str, Any]) -> str:
    """Return e.g. `~ 12 Toys (local_name was Games)`. Any field may be missing."""
    line, before = phrases.format_held_change(change), as_dict(change.get("before"))
    fields = as_list(change.get("changed"))
    differences = "; ".join(f"{field} was {before.get(str(field))}" for field in fields)
    return f"{line} ({differences})" if differences else line


ENVIRONMENT: Final = Environment(
    loader=PackageLoader("publisher", "web"),
    autoescape=True,
    finalize=lambda value: value if isinstance(value, Markup) else escape_control_chars(str(value)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals |= {
    "refresh_seconds": 30,
    "max_catalogs": 1000,  # those with problems first; `category-publisher status` shows all
    "max_consumers": 20,
    "describe_held_change": _describe_held_change,
    "phrases": phrases,
}
TEMPLATE: Final = ENVIRONMENT.get_template("page.html")
