"""The public names for a consumer of your own."""

from consumers import api


def test_each_public_name_exists() -> None:
    """`from consumers.api import *` succeeds."""
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert {"Projection", "follow", "open_catalog", "run"} <= set(api.__all__)
