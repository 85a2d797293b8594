"""What `sync` and `approve` print about a poll."""

import pytest

from publisher.commands.poll_output import report
from publisher.core.event import Position
from publisher.core.model import Counts, Hold
from publisher.errors import RaceLost
from publisher.polling.poll import PollResult

POSITION = Position("9f3c1a2b", 7, 0)


@pytest.mark.parametrize(
    ("polled", "code", "out", "err"),
    [
        (PollResult("changed", Counts(1, 2, 3), POSITION, ()), 0, "us: 1 added, 2 updated, 3 removed (sequence 7)\n", ""),
        (PollResult("unchanged", Counts(), None, ()), 0, "us: unchanged (no state)\n", ""),
        (PollResult("unchanged", Counts(), POSITION, ("a duplicate row",)), 0, "us: unchanged (sequence 7)\n", "warning: us: a duplicate row\n"),
        (PollResult("changed", Counts(1), POSITION, ("x",), is_repaired=True), 0, "us: 1 added, 0 updated, 0 removed (sequence 7)\n", "warning: us: the state was damaged; a new epoch has started\nwarning: us: x\n"),
        (PollResult("held", Counts(0, 0, 9), None, (), hold=Hold("0123456789abcdef", reasons=("a", "b")), is_damaged=True), 3, "us: held: a; b. Check it with `category-publisher diff us`, then `category-publisher approve us 0123456789abcdef`\n", "warning: us: the state is damaged, and its repair is held: consumers wait until it is approved\n"),
        (RaceLost("catalog us: another publisher"), 1, "", "error: catalog us: another publisher\n"),
        (RaceLost("nobody answers"), 1, "", "error: catalog us: nobody answers\n"),
    ],
)  # fmt: skip
def test_report(
    capsys: pytest.CaptureFixture[str],
    polled: PollResult | RaceLost,
    code: int,
    out: str,
    err: str,
) -> None:
    """The result goes to standard output, warnings and errors to standard error."""
    assert report("us", polled) == code
    assert capsys.readouterr() == (out, err)
