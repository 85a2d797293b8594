"""Runs the conformance suite on each projection."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from consumers.history.projection import HistoryProjection
from consumers.mapping.projection import MapProjection
from consumers.sql.mirror import Mirror
from tests.conformance.suite import Conformance
from tests.support.databases import fetch


class TestMirror(Conformance):
    projection = Mirror
    table = "categories"
    command = "mirror"


class TestMap(Conformance):
    projection = MapProjection
    table = "map_categories"
    command = "map watch"


class TestHistory(Conformance):
    projection = HistoryProjection
    table = "category_history"
    current = "valid_to IS NULL"
    command = "history"

    async def check_events(self, url: str, events: Sequence[dict[str, Any]]) -> None:
        """Each event starts or ends versions exactly once; only the start is a resync."""
        ((resyncs, last),) = await fetch(
            url, "SELECT count(*), max(to_position) FROM history_resyncs"
        )
        assert resyncs == 1
        later = events[int(last.split("-")[1]) :]
        for end, types in (
            ("valid_from", {"category.added", "category.updated"}),
            ("valid_to", {"category.updated", "category.removed"}),
        ):
            rows = await fetch(
                url,
                f"SELECT {end}_event FROM category_history WHERE {end}_event IS NOT NULL",  # noqa: S608
            )
            wanted = Counter(event["id"] for event in later if event["type"] in types)
            assert Counter(id_ for (id_,) in rows) == wanted
