"""All defaults, and the whole message of each mistake in the settings."""

import json
from pathlib import Path

import pytest

from plumbing.config.load import load
from plumbing.config.settings import CatalogSettings, Settings, TikTokShopSettings
from plumbing.errors import ConfigError
from plumbing.redis_url import parse

pytestmark = pytest.mark.contract("7")

MESSAGES: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("messages.json").read_text("utf-8")
)
DEFAULTS = Path(__file__).with_name("defaults.json")


@pytest.mark.parametrize(("text", "message"), MESSAGES["publisher.toml"].items())
def test_the_whole_message_of_a_mistake(folder: Path, text: str, message: str) -> None:
    """It says where the mistake is, what is wrong, and what would be right."""
    file = folder / "publisher.toml"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).replace(str(file), "FILE") == message


@pytest.mark.parametrize(("url", "message"), MESSAGES["redis_url"].items())
def test_the_whole_message_of_a_redis_address(url: str, message: str) -> None:
    """It says what is wrong, and which forms are right."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse(url)
    assert str(caught.value) == message


def test_the_defaults() -> None:
    """A changed default changes the publisher of each user who has not set it."""
    found = {
        "publisher.toml": Settings().model_dump(mode="json"),
        "[catalogs.NAME]": CatalogSettings(source="tiktok_shop").model_dump(mode="json"),
        "[tiktok_shop]": TikTokShopSettings().model_dump(mode="json"),
    }
    assert found == json.loads(DEFAULTS.read_text("utf-8"))
