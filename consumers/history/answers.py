"""Answers what people ask of the record, and says which moments of it were meant."""

from consumers.contract.history_point import HistoryPoint
from consumers.history.moments import find
from consumers.history.output import Screen
from consumers.history.query import changes, tree
from consumers.history.reader import Past
from consumers.history.store import Resync
from plumbing.errors import ConfigError


async def show_tree(past: Past, screen: Screen, moment: HistoryPoint) -> str:
    """Show the tree as of `moment`, and return a line about it; NotRecorded as of `find`."""
    mark = await find(past, moment)
    rows = await tree(past, mark)
    screen.tree(rows)
    return f"{len(rows)} categories as of {past.told(mark)}"


async def show_changes(past: Past, screen: Screen, after: HistoryPoint, until: HistoryPoint) -> str:
    """Show what changed behind `after`, up to `until`, and return a line about it.

    Raises NotRecorded as of `find`, and ConfigError if `after` is the later one.
    """
    first, last = await find(past, after), await find(past, until)
    is_turned = isinstance(after, str) and isinstance(until, str) and after > until
    if is_turned or (first.resync, first.sequence) > (last.resync, last.sequence):
        raise ConfigError(f"--between: {after} is after {until}: name the earlier one first")
    resyncs = others = 0
    async for recorded in changes(past, first, last):
        screen.recorded(recorded)
        resyncs += isinstance(recorded, Resync)
        others += not isinstance(recorded, Resync)
    return f"{others} changes, {resyncs} resyncs, after {past.told(first)} up to {past.told(last)}"
