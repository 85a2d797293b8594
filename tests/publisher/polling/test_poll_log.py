"""What the daemon logs: on the edge, not on the level."""

from typing import Any

from publisher.core.model import Counts, Hold
from publisher.polling.poll import PollResult
from publisher.polling.poll_log import PollLog

QUIET = PollResult("unchanged", Counts(), None, ())
HOLD = Hold("0123456789abcdef", reasons=("50 of 100 categories removed",))


def test_an_outage_is_a_line_at_each_end(logged: Any) -> None:
    """A request's id does not make the same failure another one."""
    teller = PollLog("us")
    teller.failed("TikTok Shop refused: bad signature (code 106001, request_id '20261123A1')")
    teller.failed("TikTok Shop refused: bad signature (code 106001, request_id '20261123B2')")
    teller.polled(QUIET)
    teller.polled(QUIET)
    assert [entry["event"] for entry in logged] == ["poll failed", "polls succeed again"]


def test_another_failure_is_told(logged: Any) -> None:
    """What to fix is another thing now."""
    teller = PollLog("us")
    teller.failed("bad signature")
    teller.failed("scope missing")
    assert len(logged) == 2


def test_a_hold_is_told_once(logged: Any) -> None:
    """And its end."""
    teller = PollLog("us")
    for _ in range(3):
        teller.polled(PollResult("held", Counts(removed=50), None, (), hold=HOLD))
    teller.polled(QUIET)
    assert [entry["event"] for entry in logged] == ["snapshot is held", "hold has ended"]


def test_a_warning_is_told_when_it_is_new(logged: Any) -> None:
    """Trees are odd for ever; that is no news at every poll."""
    teller = PollLog("us")
    for warnings in (("a",), ("a", "b"), ("a",)):
        teller.polled(PollResult("unchanged", Counts(), None, warnings))
    assert [entry["what"] for entry in logged] == ["a", "b"]
