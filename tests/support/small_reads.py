"""Reads of few stream entries, so that tests of several reads are fast."""

from typing import Final

import pytest

BATCH: Final = 200


@pytest.fixture(autouse=True)
def _reads_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit each read to BATCH entries."""
    monkeypatch.setattr("consumers.following.catalog_client.BATCH", BATCH)
    monkeypatch.setattr("consumers.tail.start.BATCH", BATCH)
