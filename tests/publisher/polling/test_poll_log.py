"""What the daemon logs: each change once, not each poll."""

from typing import Any

import pytest

from plumbing.errors import RedisError
from publisher.core.model import Counts, Hold
from publisher.polling.poll import PollResult
from publisher.polling.poll_log import LEASES, OutageLog, PollLog

UNCHANGED = PollResult("unchanged", Counts(), None, ())
HOLD = Hold("0123456789abcdef", reasons=("50 of 100 categories removed",))
HELD = PollResult("held", Counts(removed=50), None, (), hold=HOLD)

REFUSED = RedisError("Redis at x: connection refused (is it running?)", advice="is it running?")
CLOSED = RedisError("Redis at x: connection closed (is it running?)", advice="is it running?")
FULL = RedisError("Redis at x: OOM (make room)", advice="make room")
RECOVERED = "redis available again"


def messages(logged: list[dict[str, Any]]) -> list[str]:
    """Return what was logged: an error by its text, everything else by its message."""
    return [each.get("error", each["event"]) for each in logged]


def test_a_failure_is_logged_when_it_starts_and_when_it_ends(logged: Any) -> None:
    """A request's id does not make the same failure another one."""
    poll_log = PollLog("us")
    poll_log.poll_failed(
        "TikTok Shop refused: bad signature (code 106001, request_id '20261123A1')"
    )
    poll_log.poll_failed(
        "TikTok Shop refused: bad signature (code 106001, request_id '20261123B2')"
    )
    poll_log.poll_succeeded(UNCHANGED)
    poll_log.poll_succeeded(UNCHANGED)
    assert [entry["event"] for entry in logged] == ["poll failed", "poll recovered"]


def test_another_failure_is_logged(logged: Any) -> None:
    """Another failure must be fixed in another way."""
    poll_log = PollLog("us")
    poll_log.poll_failed("bad signature")
    poll_log.poll_failed("scope missing")
    assert messages(logged) == ["bad signature", "scope missing"]


@pytest.mark.contract("6")
def test_a_hold_is_logged_once(logged: Any) -> None:
    """The end of a hold is logged, too."""
    poll_log = PollLog("us")
    for _ in range(3):
        poll_log.poll_succeeded(HELD)
    poll_log.poll_succeeded(UNCHANGED)
    assert [entry["event"] for entry in logged] == ["snapshot is held", "hold ended"]


def test_a_warning_is_logged_when_it_is_new(logged: Any) -> None:
    """A tree may have the same warnings for years; they are not logged at every poll."""
    poll_log = PollLog("us")
    for warnings in (("a",), ("a", "b"), ("a",)):
        poll_log.poll_succeeded(PollResult("unchanged", Counts(), None, warnings))
    assert [entry["warnings"] for entry in logged] == [["a"], ["b"]]


@pytest.mark.contract("5.2")
def test_a_repair_is_logged(logged: Any) -> None:
    """The new epoch makes all consumers resync."""
    PollLog("us").poll_succeeded(UNCHANGED._replace(is_repaired=True))
    assert messages(logged) == ["state was damaged, new epoch started"]


def test_many_catalogs_have_one_outage(logged: Any) -> None:
    """One message at the first failure and one at the last recovery."""
    outages = OutageLog()
    for user in (LEASES, "us", "uk"):
        outages.failed(user, REFUSED)
        outages.failed(user, CLOSED)
    for user in (LEASES, "us", "us", "uk", "uk"):
        outages.recovered(user)
    assert messages(logged) == [str(REFUSED), RECOVERED]


def test_another_kind_of_outage_is_logged(logged: Any) -> None:
    """It must be fixed in another way; the end is logged when nothing is left to fix."""
    outages = OutageLog()
    for error in (REFUSED, FULL, REFUSED):
        outages.failed("us", error)
        outages.failed("uk", error)
    outages.recovered("us")
    outages.recovered("uk")
    assert messages(logged) == [str(REFUSED), str(FULL), str(REFUSED), RECOVERED]


def test_a_catalog_that_is_not_polled_here_any_more_ends_its_outage(logged: Any) -> None:
    """Another publisher took it over, or it left the configuration."""
    outages = OutageLog()
    outages.failed("us", REFUSED)
    outages.failed("uk", REFUSED)
    outages.keep_only({LEASES, "uk"})
    assert messages(logged) == [str(REFUSED)]
    outages.keep_only({LEASES})
    assert messages(logged) == [str(REFUSED), RECOVERED]
