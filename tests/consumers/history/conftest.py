"""Fixtures for the history."""

from pathlib import Path

import pytest


@pytest.fixture
def to(folder: Path) -> str:
    """Give the URL of a SQLite file that is not there yet."""
    return f"sqlite:///{folder / 'history.sqlite'}"
