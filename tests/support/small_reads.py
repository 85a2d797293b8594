"""Reads of few entries, so that a test that needs more than one read is a quick one."""

from typing import Final

import pytest

BATCH: Final = 200


@pytest.fixture(autouse=True)
def _reads_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a read give BATCH entries at most."""
    monkeypatch.setattr("consumers.following.catalog_client.BATCH", BATCH)
    monkeypatch.setattr("consumers.tail.start.BATCH", BATCH)
