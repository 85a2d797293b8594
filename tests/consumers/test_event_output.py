"""How events are written: lines for people, JSON for programs."""

import json

import pytest

from consumers.contract.event import Entry
from consumers.contract.model import Event
from consumers.event_output import JsonOutput, TextOutput
from tests.consumers.event_histories import decoded
from tests.consumers.pretend_publisher import (
    TIME,
    History,
    row,
    tree,
)

HOME = row("1", "Home")


def events() -> list[Event]:
    """Return three changes of a category whose name has control characters."""
    history = History()
    evil = row("1", "[red]\x1b[31m<b>\n\u202e", "0")
    documents = [
        *history.go_to(tree(HOME | {"id": "5"})),
        *history.go_to(tree(HOME | {"id": "5"}, evil)),
        *history.go_to(tree(HOME | {"id": "5"}, evil | {"local_name": "x", "is_leaf": False})),
        *history.go_to(tree(HOME | {"id": "5"})),
    ]
    return decoded(documents)[1:]


def test_lines_for_people(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Time, position, type, id and change; control characters in names are escaped."""
    screen = TextOutput()
    for event in events():
        screen.show(Entry("1-1", b""), event)
    screen.flush()
    evil = r"'[red]\x1b[31m<b>\n\u202e'"
    assert capfdbinary.readouterr().out.decode().splitlines() == [
        f"{TIME}  9f3c1a2b-2  added    1  {evil} below '0'",
        f"{TIME}  9f3c1a2b-3  updated  1  local_name {evil} → 'x', is_leaf True → False",
        f"{TIME}  9f3c1a2b-4  removed  1  'x'",
    ]


def test_json_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The original bytes, but on one line."""
    screen = JsonOutput()
    document = History().go_to(tree(HOME))[0]
    pretty = json.dumps(document, indent=1).encode()
    for text in (b'{"a":"\xc3\xa9 \\n"}', pretty):
        screen.show(Entry("1-1", text), events()[0])
    screen.flush()
    first, second = capfdbinary.readouterr().out.splitlines()
    assert first == b'{"a":"\xc3\xa9 \\n"}'
    assert json.loads(second) == document


def test_warnings_between_the_events(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """They are written to standard error, with control characters escaped."""
    JsonOutput().warn("entry 1-1\x1b[2J is not an event")
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"", b"entry 1-1\\x1b[2J is not an event\n")
