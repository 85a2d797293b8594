"""A call is repeated during an outage, whose start and end are logged."""

from typing import Any

import pytest

from plumbing.outage_retry import FIRST_WAIT, LONGEST_WAIT, OutageRetry, backoff_seconds
from plumbing.redis.server import Server

DOWN = "redis unavailable, retrying"
UP = "redis available again"


class Calls:
    """A request that fails with each of `errors`, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self) -> str:
        """Do the request."""
        if self.errors:
            raise self.errors.pop(0)
        return "result"


def retry(*, once: bool = False) -> OutageRetry:
    """Retry what is a ConnectionError."""
    address = Server("redis://user:hunter2@example.com/0").address
    return OutageRetry("redis", address, lambda e: isinstance(e, ConnectionError), once=once)


async def test_logs_the_edges_of_each_outage(logs: list[Any]) -> None:
    """One line is logged when an outage starts, and one when it ends.

    It does not matter how many calls fail between.
    """
    outages = retry()
    calls = Calls(*[ConnectionError("loading")] * 3)
    for _ in range(2):
        assert await outages.call(calls) == "result"
    calls.errors.append(ConnectionError("again"))
    assert await outages.call(calls) == "result"
    assert [line["event"] for line in logs] == [DOWN, UP, DOWN, UP]
    assert "hunter2" not in repr(logs)


@pytest.mark.parametrize(
    ("once", "error"), [(True, ConnectionError("refused")), (False, ValueError("a bug"))]
)
async def test_raises_errors_that_are_not_retried(
    error: Exception, logs: list[Any], *, once: bool
) -> None:
    """With `once` that is each error, else what is not transient. Nothing is logged."""
    with pytest.raises(type(error), match=str(error)):
        await retry(once=once).call(Calls(error))
    assert logs == []


def test_waits_double_up_to_a_limit() -> None:
    """At most half of a wait is left out at random.

    Many failures cause no overflow.
    """
    for failures, longest in ((0, FIRST_WAIT), (1, 2 * FIRST_WAIT), (99_999, LONGEST_WAIT)):
        waits = [backoff_seconds(failures) for _ in range(100)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
    assert 30.0 <= backoff_seconds(50, first=1.0, longest=60.0) <= 60.0
