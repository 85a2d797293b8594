"""How the commands show catalogs, changes and holds in a terminal.

Names come from outside: none of their characters may steer the terminal or rich's markup, so
they are made harmless and set as text, never as markup.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from plumbing import clock
from plumbing.text import escape_control_chars
from publisher.core.model import Change
from publisher.status import phrases
from publisher.status.problems import Problem

SIGNS: Final = {"added": ("+", "green"), "updated": ("~", "yellow"), "removed": ("-", "red")}
COLUMNS: Final = (
    *("catalog", "last poll", "", "categories", "sequence", "changes", "polled by", "consumers"),
)
OUTCOME_STYLES: Final = {
    "changed": "green",
    "unchanged": "green",
    "held": "bold yellow",
    "failed": "bold red",
    "unreadable": "bold red",
}


def change_line(change: Change) -> Text:
    """Return one change on one line: sign, id, and what it is about."""
    sign, style = SIGNS[change.type]
    line = Text(f"{sign} ", style=style)
    line.append(f"{escape_control_chars(change.category.id):<10} ", style="bold")
    line.append(escape_control_chars(change.category.local_name))
    if change.before is not None:
        line.append(f"  {_differences(change)}", style="dim")
    return line


def changes_table(changes: Iterable[Change], limit: int) -> Group:
    """Return the first `limit` changes, a line each, and how many more there are."""
    lines = [change_line(change) for change in changes]
    more = len(lines) - limit
    rest = [Text(f"… and {more} more", style="dim")] if more > 0 else []
    return Group(*lines[:limit], *rest)


def overview(
    looked: Iterable[tuple[Mapping[str, Any], Iterable[Problem]]],
    of_redis: Iterable[str] = (),
    *,
    limit: int | None = None,
) -> Group:
    """Show catalogs as `read_overviews` gives them, with what is not fine about each.

    A line each, or of the first `limit`; then the problems, first those `of_redis` itself, and
    whether everything is fine.
    """
    catalogs = list(looked)
    shown = catalogs[:limit]
    table = Table(box=None, pad_edge=False)
    for heading in COLUMNS:
        table.add_column(heading, justify="left", overflow="fold")
    for catalog, _ in shown:
        table.add_row(*_cells(catalog))
    details = [failure(line) for line in of_redis]
    count = len(details) + sum(1 for _, found in catalogs for _ in found)
    details += [line for catalog, found in shown for line in _details(catalog, found)]
    more = len(catalogs) - len(shown)
    rest = [Text(f"… and {more} more", style="dim")] if more else []
    return Group(table, *rest, *details, _verdict(count))


def failure(error: str) -> Text:
    """Show an error in place of what could not be looked at."""
    return Text(escape_control_chars(error), style="red")


def _verdict(count: int) -> Text:
    if count == 0:
        return Text("everything is fine", style="green")
    return Text(f"{count} problem{'s' if count > 1 else ''}", style="bold red")


def _cells(catalog: Mapping[str, Any]) -> list[RenderableType]:
    meta, status = catalog["meta"], catalog["status"]
    outcome = phrases.outcome_of(catalog)
    return [
        Text(escape_control_chars(catalog["catalog"]), style="bold"),
        Text(escape_control_chars(phrases.format_age(status.get("polled_at"), clock.now()))),
        Text(escape_control_chars(outcome), style=OUTCOME_STYLES.get(outcome, "dim")),
        Text(escape_control_chars(meta.get("count", "-"))),
        Text(escape_control_chars(meta.get("sequence", "-"))),
        Text(escape_control_chars(_numbers(status))),
        Text(escape_control_chars(_host_and_process(catalog["lease"]))),
        Text("\n".join(map(escape_control_chars, phrases.format_lags(catalog))) or "-"),
    ]


def _host_and_process(owner: str | None) -> str:
    """Return of a lease's owner what people know it by."""
    return ":".join((owner or "-").split(":")[:2])


def _numbers(status: Mapping[str, str]) -> str:
    return " ".join(f"{sign}{status.get(name, 0)}" for name, (sign, _) in SIGNS.items())


def _details(catalog: Mapping[str, Any], found: Iterable[Problem]) -> Iterable[Text]:
    name, hold = escape_control_chars(catalog["catalog"]), catalog["hold"]
    for problem in found:
        style = "bold yellow" if problem.held else "red"
        yield Text(f"{name}: {escape_control_chars(problem.what)}", style=style)
    if hold is None:
        return
    for reason in hold.reasons:
        yield Text(f"  {escape_control_chars(str(reason))}")
    for change in hold.first:
        yield Text("  ").append_text(_held_change(change))
    digest = escape_control_chars(str(hold.digest))
    yield Text(f"  approve it with: category-publisher approve {name} {digest}")


def _held_change(change: Any) -> Text:
    told = phrases.as_dict(change)
    kind = str(told.get("type", "")).removeprefix("category.")
    sign, style = SIGNS.get(kind, ("?", ""))
    about = phrases.as_dict(told.get("category"))
    line = f"{sign} {about.get('id')} {about.get('local_name')}"
    return Text(escape_control_chars(line), style=style)


def _differences(change: Change) -> str:
    before = change.before.fields() if change.before else {}
    return "; ".join(f"{field} was {_value(before[field])}" for field in change.changed)


def _value(value: str | bool) -> str:  # noqa: FBT001  a field of a category
    return str(value).lower() if isinstance(value, bool) else escape_control_chars(value)
