"""The public names for a consumer of your own."""

from consumers import api


def test_each_public_name_exists() -> None:
    """`from consumers.api import *` succeeds, and the names are sorted by kind."""
    assert {name for name in api.__all__ if hasattr(api, name)} == set(api.__all__)
    assert {"Projection", "follow", "open_catalog", "run"} <= set(api.__all__)
