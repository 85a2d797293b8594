"""An outage of Redis in the log: once for all who meet it."""

from typing import Any

from plumbing.errors import RedisError
from publisher.polling.poll_log import LEASES, OutageLog

AWAY = RedisError("Redis at x: connection refused (is it running?)", advice="is it running?")
CLOSED = RedisError("Redis at x: connection closed (is it running?)", advice="is it running?")
FULL = RedisError("Redis at x: OOM (make room)", advice="make room")


def words(logged: list[dict[str, Any]]) -> list[str]:
    """Return what was logged, an error by its text."""
    return [each.get("error", each["event"]) for each in logged]


def test_many_catalogs_one_outage(logged: Any) -> None:
    """A line when the first fails, one when the last is served again; whatever the words."""
    outages = OutageLog()
    for name in (LEASES, "us", "uk"):
        outages.failed(name, AWAY)
        outages.failed(name, CLOSED)
    for name in (LEASES, "us", "us", "uk", "uk"):
        outages.passed(name)
    assert words(logged) == [str(AWAY), "redis serves again"]


def test_another_kind_of_outage_is_told(logged: Any) -> None:
    """It is another thing to mend; the end is told when nothing is left to mend."""
    outages = OutageLog()
    for error in (AWAY, FULL, AWAY):
        outages.failed("us", error)
        outages.failed("uk", error)
    outages.passed("us")
    outages.passed("uk")
    assert words(logged) == [str(AWAY), str(FULL), str(AWAY), "redis serves again"]


def test_who_is_not_polled_here_any_more_keeps_no_outage_up(logged: Any) -> None:
    """Such as a catalog that another publisher took over, or that is configured no more."""
    outages = OutageLog()
    outages.failed("us", AWAY)
    outages.failed("uk", AWAY)
    outages.only({LEASES, "uk"})
    assert words(logged) == [str(AWAY)]
    outages.only({LEASES})
    assert words(logged) == [str(AWAY), "redis serves again"]
