"""An outage is one line when it starts and one when it ends."""

from collections.abc import Callable
from typing import Any

from plumbing.edge_log import EdgeLog


class RecordingLog:
    """Keeps each line as its level, message and facts."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda message, **facts: self.lines.append((level, message, facts))


def test_logs_each_outage_once_when_it_starts_and_once_when_it_ends() -> None:
    log = RecordingLog()
    edge = EdgeLog(log)
    for _ in range(2):
        edge.up("available again")
        edge.down("unavailable", error="first")
        edge.down("unavailable", error="second")
        edge.up("available again", address="here")
        edge.up("available again")
    start = ("warning", "unavailable", {"error": "first"})
    end = ("info", "available again", {"address": "here"})
    assert log.lines == [start, end, start, end]


def test_logs_another_cause_of_the_same_outage_but_one_end() -> None:
    log = RecordingLog()
    edge = EdgeLog(log)
    for cause in ("disk", "disk", "network"):
        edge.down("unavailable", cause=cause, level="error", error=cause)
    was_down = edge.is_down
    edge.up("available again")
    assert (was_down, edge.is_down) == (True, False)
    assert log.lines == [
        ("error", "unavailable", {"error": "disk"}),
        ("error", "unavailable", {"error": "network"}),
        ("info", "available again", {}),
    ]
