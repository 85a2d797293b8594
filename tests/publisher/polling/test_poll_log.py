"""What the daemon logs: each change once, not each poll."""

from dataclasses import replace
from typing import Any

import pytest

from plumbing.errors import RedisError
from publisher.core.event import Position
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


@pytest.mark.contract("6")
def test_another_hold_is_logged(logged: Any) -> None:
    """Its digest is what has to be approved."""
    poll_log = PollLog("us")
    another = replace(HOLD, digest="fedcba9876543210", reasons=("new reason",))
    for hold in (HOLD, another, another):
        poll_log.poll_succeeded(HELD._replace(hold=hold))
    assert logged == [
        {
            "event": "snapshot is held",
            "log_level": "warning",
            "catalog": "us",
            "digest": hold.digest,
            "reasons": list(hold.reasons),
            "state": "valid",
        }
        for hold in (HOLD, another)
    ]


def test_a_hold_of_a_damaged_state_says_so(logged: Any) -> None:
    """Consumers wait for it."""
    PollLog("us").poll_succeeded(HELD._replace(is_damaged=True))
    assert [entry["state"] for entry in logged] == ["damaged, consumers wait"]


def test_only_a_change_is_logged_as_published(logged: Any) -> None:
    """With its counts and the position that it led to."""
    position = Position("0123abcd", 9, 0)
    counts = Counts(added=3, updated=2, removed=1)
    poll_log = PollLog("us")
    for outcome in ("unchanged", "changed", "unchanged"):
        poll_log.poll_succeeded(PollResult(outcome, counts, position, ()))
    assert logged == [
        {
            "event": "published",
            "log_level": "info",
            "catalog": "us",
            **counts._asdict(),
            "epoch": "0123abcd",
            "sequence": 9,
        }
    ]


@pytest.mark.parametrize(
    ("one", "two", "entries"),
    [
        ("HTTP 502 (request 20261123A1)", "HTTP 502 (request 20261123B2)", 1),
        ("HTTP 502", "HTTP 503", 2),
        ("code 106001", "code 106002", 2),
        ("bad signature", "bad sequence", 2),
    ],
)
def test_which_failures_are_the_same(logged: Any, one: str, two: str, entries: int) -> None:
    """Those that differ in long words with digits only; a status or a code is short."""
    poll_log = PollLog("us")
    poll_log.poll_failed(one)
    poll_log.poll_failed(two)
    assert logged == [
        {"event": "poll failed", "log_level": "error", "catalog": "us", "error": error}
        for error in (one, two)[:entries]
    ]


def test_recoveries_without_an_outage_are_not_logged(logged: Any) -> None:
    """Nearly all polls are such."""
    outages = OutageLog()
    outages.recovered("us")
    outages.keep_only({LEASES})
    assert logged == []


def test_another_user_with_a_known_error_logs_nothing(logged: Any) -> None:
    """An outage belongs to Redis, and not to a catalog."""
    outages = OutageLog()
    for user, error in (("us", REFUSED), ("uk", FULL), ("us", FULL), ("fr", FULL)):
        outages.failed(user, error)
    assert messages(logged) == [str(REFUSED), str(FULL)]
    assert {entry["log_level"] for entry in logged} == {"error"}
