"""The models of the configuration know their catalogs.

They also know which values exclude each other.
"""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from plumbing.config.settings import (
    CommonSettings,
    Settings,
    TikTokShopSettings,
    check_catalog_name,
)
from plumbing.errors import ConfigError
from tests.support.messages import whole

SHELF = {"source": "file", "url": "shelf.json"}


def test_rejects_two_owners_of_the_tokens() -> None:
    """They exclude each other."""
    with pytest.raises(
        ValueError,
        match=r"Value error, access_token_file and access_token_command exclude each other: keep one \[",
    ):
        TikTokShopSettings(access_token_file=Path("a"), access_token_command="b")


def test_an_unknown_catalog_is_an_error() -> None:
    """The message lists the known ones and says what to add."""
    settings = Settings.model_validate({"catalogs": {"us": SHELF, "shelf": SHELF}})
    with pytest.raises(
        ConfigError,
        match=whole(
            "catalog 'uk' is not configured (configured: shelf, us): add a section [catalogs.uk] to publisher.toml"
        ),
    ):
        settings.catalog("uk")


@pytest.mark.parametrize("name", ["us", "uk-en", "9", "a" * 63])
def test_accepts_the_name_of_a_catalog(name: str) -> None:
    """It has 1 to 63 of a-z, 0-9 and -."""
    assert check_catalog_name(name) == name


@pytest.mark.parametrize("name", ["", "US", "-us", "u s", "us\n", "a" * 64])
def test_rejects_a_wrong_name_of_a_catalog(name: str) -> None:
    """The message says what a name looks like."""
    with pytest.raises(ConfigError, match="has 1 to 63 characters of a-z, 0-9 and -"):
        check_catalog_name(name)


@pytest.mark.parametrize("model", [CommonSettings, Settings, TikTokShopSettings])
def test_an_error_of_a_model_has_no_values(model: type[BaseModel]) -> None:
    """They may be secrets, also where nobody turns the error into a line of ours."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"hunter2": "hunter3", "log_level": "hunter4"})
    assert "hunter3" not in str(caught.value)
    assert "hunter4" not in str(caught.value)
