"""Fixtures for the tests of the history."""

from pathlib import Path

import pytest


@pytest.fixture
def to(folder: Path) -> str:
    """Return the URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{folder / 'history.sqlite'}"
