"""How the commands show catalogs, changes and holds in a terminal.

Names come from outside: none of their characters may steer the terminal or rich's markup, so
they are made harmless and set as text, never as markup.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from plumbing.terminal import ago, harmless
from publisher.model import Change, Counts

SIGNS: Final = {"added": ("+", "green"), "updated": ("~", "yellow"), "removed": ("-", "red")}
OUTCOME_STYLES: Final = {
    "changed": "green",
    "unchanged": "green",
    "held": "bold yellow",
    "failed": "bold red",
}


def change_line(change: Change) -> Text:
    """Return one change on one line: sign, id, and what it is about."""
    sign, style = SIGNS[change.type]
    line = Text(f"{sign} ", style=style)
    line.append(f"{harmless(change.category.id):<10} ", style="bold")
    line.append(harmless(change.category.local_name))
    if change.before is not None:
        line.append(f"  {_differences(change)}", style="dim")
    return line


def counted(counts: Counts) -> str:
    """Return e.g. `3 added, 1 updated, 0 removed`."""
    return ", ".join(f"{number} {name}" for name, number in counts._asdict().items())


def changes_table(changes: Iterable[Change], limit: int) -> Group:
    """Return the first `limit` changes, a line each, and how many more there are."""
    lines = [change_line(change) for change in changes]
    more = len(lines) - limit
    rest = [Text(f"… and {more} more", style="dim")] if more > 0 else []
    return Group(*lines[:limit], *rest)


def overview(console: Console, catalogs: list[dict[str, Any]]) -> None:
    """Print what `Store.overview` gave of each catalog: one line, then holds and errors."""
    table = Table(box=None, pad_edge=False)
    for heading in ("catalog", "last poll", "", "categories", "sequence", "changes", "consumers"):
        table.add_column(heading, justify="left", overflow="fold")
    for catalog in catalogs:
        table.add_row(*_cells(catalog))
    console.print(table)
    for catalog in catalogs:
        for detail in _details(catalog):
            console.print(detail, soft_wrap=True)


def _cells(catalog: Mapping[str, Any]) -> list[RenderableType]:
    meta, status = catalog["meta"], catalog["status"]
    outcome = status.get("outcome", "")
    return [
        Text(harmless(catalog["catalog"]), style="bold"),
        Text(_since(status.get("polled_at"))),
        Text(harmless(outcome) or "never polled", style=OUTCOME_STYLES.get(outcome, "dim")),
        Text(harmless(meta.get("count", "-"))),
        Text(harmless(meta.get("sequence", "-"))),
        Text(harmless(_numbers(status))),
        Text("\n".join(_lags(meta, catalog["consumers"])) or "-"),
    ]


def _numbers(status: Mapping[str, str]) -> str:
    return " ".join(f"{sign}{status.get(name, 0)}" for name, (sign, _) in SIGNS.items())


def _lags(meta: Mapping[str, str], consumers: Mapping[str, Any]) -> Iterable[str]:
    for name, checkpoint in sorted(consumers.items()):
        yield f"{harmless(name)}: {_lag(meta, checkpoint if isinstance(checkpoint, dict) else {})}"


def _lag(meta: Mapping[str, str], checkpoint: Mapping[str, Any]) -> str:
    try:
        behind = int(meta["sequence"]) - int(checkpoint["sequence"])
    except (KeyError, ValueError, TypeError):
        return "unknown"
    if checkpoint.get("epoch") != meta.get("epoch"):
        return "in another epoch"
    return "in step" if behind == 0 else f"{behind} behind"


def _details(catalog: Mapping[str, Any]) -> Iterable[RenderableType]:
    name, hold = harmless(catalog["catalog"]), catalog["hold"]
    if catalog["status"].get("error"):
        yield Text(f"{name}: {harmless(catalog['status']['error'])}", style="red")
    if hold is None:
        return
    since, digest = (harmless(str(hold.get(field))) for field in ("since", "digest"))
    yield Text(f"{name}: a snapshot is held since {since}", style="bold yellow")
    for reason in _list(hold.get("reasons")):
        yield Text(f"  {harmless(str(reason))}")
    for change in _list(hold.get("first")):
        yield Text("  ").append_text(_held_change(change))
    yield Text(f"  approve it with: category-publisher approve {name} {digest}")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _held_change(change: Any) -> Text:
    told = change if isinstance(change, dict) else {}
    kind = str(told.get("type", "")).removeprefix("category.")
    sign, style = SIGNS.get(kind, ("?", ""))
    category = told.get("category")
    about = category if isinstance(category, dict) else {}
    line = f"{sign} {about.get('id')} {about.get('local_name')}"
    return Text(harmless(line), style=style)


def _differences(change: Change) -> str:
    before = change.before._asdict() if change.before else {}
    return "; ".join(f"{field} was {_value(before[field])}" for field in change.changed)


def _value(value: str | bool) -> str:  # noqa: FBT001  a field of a category
    return str(value).lower() if isinstance(value, bool) else harmless(value)


def _since(moment: str | None) -> str:
    if not moment:
        return "-"
    try:
        return f"{ago(datetime.now(UTC) - datetime.fromisoformat(moment))} ago"
    except (ValueError, TypeError):  # no time, or one without a zone
        return harmless(moment)
