"""Renders catalogs, changes and holds for a terminal.

Names come from outside and must not control the terminal or rich's markup. So each text is escaped
and wrapped in a Text, which rich never parses as markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from plumbing import clock
from plumbing.text import escape_control_chars
from publisher.core.model import Change
from publisher.status import phrases
from publisher.status.problems import CheckedCatalog

COLUMNS: Final = (
    "catalog",
    "last poll",
    "",
    "categories",
    "sequence",
    "changes",
    "polled by",
    "consumers",
)
CHANGE_STYLES: Final = {"added": "green", "updated": "yellow", "removed": "red"}
LEVEL_STYLES: Final = {"good": "green", "held": "bold yellow", "bad": "bold red", "neutral": "dim"}


def change_line(change: Change) -> Text:
    """Return one change on one line: sign, id, name, and what it was before."""
    line = Text(f"{phrases.SIGNS[change.type]} ", style=CHANGE_STYLES[change.type])
    line.append(f"{escape_control_chars(change.category.id):<10} ", style="bold")
    line.append(escape_control_chars(change.category.local_name))
    if change.before is not None:
        before = change.before.fields() | {"is_leaf": str(change.before.is_leaf).lower()}
        differing = [f"{name} was {escape_control_chars(before[name])}" for name in change.changed]
        line.append(f"  {'; '.join(differing)}", style="dim")
    return line


def changes_table(changes: Iterable[Change], limit: int) -> Group:
    """Return the first `limit` changes, a line each, and how many more there are."""
    lines = [change_line(change) for change in changes]
    return Group(*lines[:limit], *_and_more(len(lines) - limit))


def status_table(
    catalogs: Sequence[CheckedCatalog],
    redis_problems: Iterable[str] = (),
    *,
    limit: int | None = None,
) -> Group:
    """Return a line for each catalog, up to `limit`, then problems and verdict."""
    shown = catalogs[:limit]
    columns = (Column(heading, overflow="fold") for heading in COLUMNS)
    table = Table(*columns, box=None, pad_edge=False)
    for overview, _ in shown:
        meta, status = overview.meta, overview.status
        host_and_process = (overview.lease or "-").split(":")[:2]
        table.add_row(
            text(overview.catalog, "bold"),
            text(phrases.format_age(status.get("polled_at"), clock.now())),
            text(overview.outcome, LEVEL_STYLES[phrases.outcome_level(overview.outcome)]),
            text(meta.get("count", "-")),
            text(meta.get("sequence", "-")),
            text(phrases.format_signed_counts(status)),
            text(":".join(host_and_process)),
            Text("\n".join(map(escape_control_chars, phrases.format_lags(overview))) or "-"),
        )
    details = [text(problem, "red") for problem in redis_problems]
    count = len(details) + sum(len(each.problems) for each in catalogs)
    details += chain.from_iterable(map(_problem_lines, shown))
    verdict = Text("everything is fine", "green")
    if count:
        verdict = Text(f"{count} problem{'s' if count > 1 else ''}", "bold red")
    return Group(table, *_and_more(len(catalogs) - len(shown)), *details, verdict)


def text(value: str, style: str = "") -> Text:
    """Return `value`, which may come from outside, escaped for the terminal."""
    return Text(escape_control_chars(value), style=style)


def _and_more(count: int) -> list[Text]:
    return [Text(f"… and {count} more", style="dim")] if count > 0 else []


def _problem_lines(checked: CheckedCatalog) -> Iterator[Text]:
    """Yield the problems of a catalog, and what its hold is about."""
    name, hold = escape_control_chars(checked.overview.catalog), checked.overview.hold
    for problem in checked.problems:
        style = "bold yellow" if problem.is_hold else "red"
        yield Text(f"{name}: {escape_control_chars(problem.text)}", style=style)
    if hold is None:
        return
    for reason in hold.reasons:
        yield Text(f"  {escape_control_chars(reason)}")
    for change in hold.first:
        style = CHANGE_STYLES.get(phrases.held_change_type(change), "")
        yield Text("  ").append_text(text(phrases.format_held_change(change), style))
    digest = escape_control_chars(hold.digest)
    yield Text(f"  approve it with: category-publisher approve {name} {digest}")
