"""Renders catalogs, changes and holds for a terminal.

Names come from outside and must not control the terminal or rich's markup. So each text is escaped
and wrapped in a Text, which rich never parses as markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from plumbing import clock
from plumbing.text import escape_control_chars
from publisher.core.model import Change
from publisher.status import phrases
from publisher.status.problems import CheckedCatalog

COLUMNS: Final = (
    *("catalog", "last poll", "", "categories", "sequence", "changes", "polled by", "consumers"),
)
CHANGE_STYLES: Final = {"added": "green", "updated": "yellow", "removed": "red"}
LEVEL_STYLES: Final = {"good": "green", "held": "bold yellow", "bad": "bold red", "neutral": "dim"}


def change_line(change: Change) -> Text:
    """Return one change on one line: sign, id, name, and what it was before."""
    line = Text(f"{phrases.SIGNS[change.type]} ", style=CHANGE_STYLES[change.type])
    line.append(f"{escape_control_chars(change.category.id):<10} ", style="bold")
    line.append(escape_control_chars(change.category.local_name))
    if change.before is not None:
        before = {
            name: str(value).lower() if isinstance(value, bool) else escape_control_chars(value)
            for name, value in change.before.fields().items()
        }
        differences = (f"{name} was {before[name]}" for name in change.changed)
        line.append(f"  {'; '.join(differences)}", style="dim")
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
    table = Table(box=None, pad_edge=False)
    for heading in COLUMNS:
        table.add_column(heading, justify="left", overflow="fold")
    for catalog, _ in shown:
        meta, status = catalog.meta, catalog.status
        host_and_process = ":".join((catalog.lease or "-").split(":")[:2])
        table.add_row(
            _text(catalog.catalog, "bold"),
            _text(phrases.format_age(status.get("polled_at"), clock.now())),
            _text(catalog.outcome, LEVEL_STYLES[phrases.outcome_level(catalog.outcome)]),
            _text(meta.get("count", "-")),
            _text(meta.get("sequence", "-")),
            _text(phrases.format_signed_counts(status)),
            _text(host_and_process),
            Text("\n".join(map(escape_control_chars, phrases.format_lags(catalog))) or "-"),
        )
    details = [error_line(problem) for problem in redis_problems]
    count = len(details) + sum(len(each.problems) for each in catalogs)
    for each in shown:
        details += _problem_lines(each)
    verdict = (
        Text(f"{count} problem{'s' if count > 1 else ''}", style="bold red")
        if count
        else Text("everything is fine", style="green")
    )
    return Group(table, *_and_more(len(catalogs) - len(shown)), *details, verdict)


def error_line(error: str) -> Text:
    """Return an error as one red line."""
    return _text(error, "red")


def _text(value: str, style: str = "") -> Text:
    return Text(escape_control_chars(value), style=style)


def _and_more(count: int) -> list[Text]:
    return [Text(f"… and {count} more", style="dim")] if count > 0 else []


def _problem_lines(checked: CheckedCatalog) -> Iterator[Text]:
    """Yield the problems of a catalog, and what its hold is about."""
    name, hold = escape_control_chars(checked.overview.catalog), checked.overview.hold
    for problem in checked.problems:
        style = "bold yellow" if problem.held else "red"
        yield Text(f"{name}: {escape_control_chars(problem.text)}", style=style)
    if hold is None:
        return
    for reason in hold.reasons:
        yield Text(f"  {escape_control_chars(reason)}")
    for change in hold.first:
        style = CHANGE_STYLES.get(phrases.held_change_type(change), "")
        yield Text("  ").append_text(_text(phrases.format_held_change(change), style))
    digest = escape_control_chars(hold.digest)
    yield Text(f"  approve it with: category-publisher approve {name} {digest}")
