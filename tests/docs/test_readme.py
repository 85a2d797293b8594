"""README.md lists all commands, and its configuration shows the defaults.

The configuration loads.
"""

import re
from pathlib import Path

import pytest

from consumers.cli import COMMANDS as CONSUMER_COMMANDS
from plumbing.config.load import load
from plumbing.config.settings import CatalogSettings, Settings, TikTokShopSettings
from publisher.cli import COMMANDS as PUBLISHER_COMMANDS
from tests.support.paths import DOCS, ROOT

PAGE = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = {"redis_url", "catalogs", "tiktok_shop"}
"""Top-level keys whose values in the page are not the defaults."""


def configuration(page: str) -> str:
    """Return the block with a publisher.toml in `page`."""
    (block,) = re.findall(r"```toml\n(redis_url.*?)```", page, re.DOTALL)
    return str(block)


@pytest.mark.contract("7")
@pytest.mark.parametrize("page", [PAGE, (DOCS / "contract.md").read_text("utf-8")])
def test_the_configuration_loads(page: str, folder: Path) -> None:
    """A publisher.toml as in README and contract has the default values.

    It is valid.
    """
    file = folder / "publisher.toml"
    file.write_text(configuration(page), "utf-8")
    settings = load(file)
    defaults = Settings(data_dir=folder / "data")
    assert settings.model_dump(exclude=EXAMPLES) == defaults.model_dump(exclude=EXAMPLES)
    shop, default_shop = settings.tiktok_shop, TikTokShopSettings()
    assert (shop.api_url, shop.auth_url) == (default_shop.api_url, default_shop.auth_url)
    catalog, default = settings.catalogs["us"], CatalogSettings(source="tiktok_shop")
    for name in ("poll_every", "request_timeout", "max_body_bytes", "guard", "retention"):
        assert getattr(catalog, name) == getattr(default, name)


@pytest.mark.parametrize(
    ("program", "commands"),
    [("category-publisher", PUBLISHER_COMMANDS), ("category-consumer", CONSUMER_COMMANDS)],
)
def test_the_commands(program: str, commands: dict[str, str]) -> None:
    """The table of commands has each of them, and no other."""
    assert set(re.findall(rf"^\| `{program} (\w+)", PAGE, re.MULTILINE)) == set(commands)
