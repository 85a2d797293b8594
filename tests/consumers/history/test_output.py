"""What `history` prints: JSON for programs, lines for people."""

import orjson
import pytest

from consumers.commands.history import show_changes, show_tree
from consumers.contract.history_point import parse
from consumers.history.output import JsonHistoryOutput, TextHistoryOutput
from tests.consumers.history.history_builder import (
    TIMES,
    open_projection,
    reader_of,
    record_example,
    rows,
)
from tests.consumers.pretend_publisher import row


async def test_json(to: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """JSON has the state's rows, and all fields of changes and resyncs."""
    async with open_projection(to) as history:
        await record_example(history)
        reader = await reader_of(history)
        await show_tree(reader, JsonHistoryOutput(), parse(TIMES[5]))
        lines = capsysbinary.readouterr().out.splitlines()
        await show_changes(reader, JsonHistoryOutput(), parse("4"), parse("2030-01-01"))
        printed = capsysbinary.readouterr().out.splitlines()
    assert lines[0] == b'{"id":"1","parent_id":"0","local_name":"Home & Garden","is_leaf":false}'
    assert [orjson.loads(line)["id"] for line in lines] == ["1", "2", "4"]
    first, _, _, resync, added, updated, *_ = map(orjson.loads, printed)
    assert list(first) == [
        *("time", "resync", "sequence", "event", "type", "category", "before", "changed")
    ]
    assert (first["event"][:11], first["changed"]) == ("9f3c1a2b-5-", ["is_leaf"])
    assert first["before"] == {**first["category"], "is_leaf": True}
    assert resync["from_position"].startswith("9f3c1a2b-7-")
    assert resync["to_position"].startswith("9f3c1a2b-11-")
    del resync["from_position"], resync["to_position"]
    position = {"time": TIMES[10], "resync": 2, "sequence": 11, "event": None}
    assert resync == {**position, "type": "resync", "added": 1, "updated": 2, "removed": 1}
    tulips = {"id": "5", "parent_id": "1", "local_name": "Tulips", "is_leaf": True}
    assert added == {**position, "type": "added", "category": tulips}
    assert (updated["type"], updated["changed"]) == ("updated", ["local_name"])


def test_siblings_are_in_the_order_of_their_names(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Those with the same name are in the order of their ids."""
    output = TextHistoryOutput()
    names = {"1": "B", "2": "A", "4": "B", "3": "B"}
    output.tree(rows(*(row(id_, name) for id_, name in names.items())))
    output.flush()
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["2", "1", "3", "4"]


async def test_a_resync_is_shown_as_one(
    to: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Its line has both positions, and its differences follow with its number."""
    output = TextHistoryOutput()
    async with open_projection(to) as history:
        await record_example(history)
        await show_changes(await reader_of(history), output, parse("7"), parse("11"))
    output.flush()
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0].startswith(
        f"{TIMES[10]}  resync 2  1 added, 2 updated, 1 removed from 9f3c1a2b-7-"
    )
    assert lines[1] == f"{TIMES[10]}  resync 2  added    5  'Tulips' below '1'"
    assert len(lines) == 5
