"""Which versions begin and end with events and resyncs, without a database."""

from consumers.history.versions import (
    RecordPosition,
    ResyncCounts,
    Version,
    apply_events,
    apply_snapshot,
)
from tests.consumers.history.history_builder import FIRST, SECOND, TIMES, Publisher

START = RecordPosition(TIMES[5], None, 2, 3)
FIRST_VERSIONS = [Version(category, START) for category in FIRST.values()]


def test_events_begin_and_end_versions() -> None:
    """An update ends a version and begins the next one at the same position."""
    publisher = Publisher()
    publisher.events(FIRST)
    home, *_, removed_toys = events = publisher.events(SECOND, TIMES[7])
    versions = apply_events(FIRST_VERSIONS, events, START)
    valid = {version.category.id: version.category for version in versions if not version.end}
    assert valid == SECOND
    position = RecordPosition(TIMES[7], home.checkpoint.position, 2, home.sequence)
    old = Version(FIRST["1"], START, position)
    assert old in versions
    assert Version(SECOND["1"], position) in versions
    assert removed_toys.category.id not in valid


def test_recorded_times_do_not_go_back() -> None:
    """An event that is older than the last position gets the time of that position."""
    publisher = Publisher()
    publisher.events(FIRST)
    versions = apply_events(FIRST_VERSIONS, publisher.events(SECOND, TIMES[1]), START)
    assert {version.begin.at for version in versions} == {START.at}


def test_a_resync_changes_only_differences() -> None:
    """Versions of rows that are the same are neither ended nor begun."""
    position = RecordPosition(TIMES[9], None, 3, 12)
    rows = {**FIRST, "2": SECOND["2"], "4": SECOND["4"]}
    del rows["3"]
    versions, counts = apply_snapshot(FIRST_VERSIONS, rows, position)
    assert counts == ResyncCounts(added=1, updated=1, removed=1)
    ended = {each.category.id for each in versions if each.end}
    begun = {each.category.id for each in versions if not each.end}
    assert (ended, begun) == ({"2", "3"}, {"2", "4"})


def test_a_resync_ends_duplicates() -> None:
    """Of two valid versions of one category, which no event makes, one is ended."""
    position = RecordPosition(TIMES[9], None, 3, 12)
    duplicate = Version(FIRST["3"], START._replace(sequence=1))
    versions, _ = apply_snapshot([*FIRST_VERSIONS, duplicate], FIRST, position)
    assert [each.end for each in versions] == [position]
