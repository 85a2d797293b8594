"""The composition root."""

from pathlib import Path

import pytest

from plumbing.config.load import load
from plumbing.config.settings import Settings
from plumbing.errors import ConfigError
from plumbing.redis.embedded_mode import EmbeddedMode
from publisher.app import configured_names, open_app
from publisher.sources.file_source import FileSource
from tests.support.messages import whole
from tests.support.valkey import Valkey


@pytest.fixture
def settings(folder: Path, valkey: Valkey) -> Settings:
    """Give settings of catalogs `us` and `uk`, and `shop` without an app."""
    file = folder / "publisher.toml"
    file.write_text(
        f'redis_url = "{valkey.url}"\n'
        '[catalogs.us]\nsource = "file"\nurl = "us.json"\nlocale = "en-US"\n'
        "guard = { max_removed = 7 }\nretention = { max_events = 9 }\n"
        '[catalogs.uk]\nsource = "file"\nurl = "uk.json"\n'
    )
    return load(file)


def test_names(settings: Settings) -> None:
    """Those given, once each, or all; a name that is not configured is an error."""
    assert configured_names(settings) == ["uk", "us"]
    assert configured_names(settings, ["us", "uk", "us"]) == ["us", "uk"]
    with pytest.raises(
        ConfigError,
        match=whole(
            "catalog 'fr' is not configured (configured: uk, us): add a section [catalogs.fr] to publisher.toml"
        ),
    ):
        configured_names(settings, ["us", "fr"])
    with pytest.raises(
        ConfigError,
        match=whole("no catalog is configured: add a section [catalogs.NAME] to publisher.toml"),
    ):
        configured_names(Settings.model_construct(catalogs={}))


async def test_catalogs_have_their_settings(settings: Settings) -> None:
    """Origin, limits, retention and source are those of the configuration."""
    async with open_app(settings, ["us"]) as app:
        assert app.catalogs.keys() == {"us"}
        us = app.catalogs["us"]
        assert (us.origin.source, us.origin.locale) == ("file", "en-US")
        assert (us.limits.max_removed, us.limits.max_updated, us.max_events) == (7, 100, 9)
        assert isinstance(us.source, FileSource)
        assert app.build_catalogs(settings, ["uk"]).keys() == {"uk"}


@pytest.mark.parametrize("mode", EmbeddedMode)
async def test_states_are_cached_by_a_daemon_only(settings: Settings, mode: EmbeddedMode) -> None:
    """A command that polls once has no use for the state afterwards."""
    async with open_app(settings, ["us"], mode) as app:
        has_cache = app.catalogs["us"].state_cache is not None
        assert has_cache == (mode is EmbeddedMode.KEEP_RUNNING)
