"""The options that commands share, and the settings that `--config` names."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from plumbing import logs
from plumbing.config.load import load, load_common
from plumbing.config.settings import CommonSettings, Settings

_config_option = partial(typer.Option, "--config", metavar="FILE", show_default=False)

ConfigOption = Annotated[
    Path | None,
    _config_option(
        help="Read this configuration file. Default: publisher.toml in this folder, if there."
    ),
]

UnusedConfigOption = Annotated[
    Path | None, _config_option(help="Checked, but not used: this command needs no configuration.")
]
"""For commands that need no configuration: each command accepts `--config` (contract, 7)."""

CatalogArgument = Annotated[
    str, typer.Argument(metavar="CATALOG", help="The catalog's name, such as us or uk-en.")
]


def load_settings(file: Path | None) -> Settings:
    """Load the whole configuration and set up the logs. Raises ConfigError."""
    settings = load(file)
    logs.configure(settings)
    return settings


def load_common_settings(file: Path | None) -> CommonSettings:
    """Load the settings that a consumer needs and set up the logs. Raises ConfigError."""
    settings = load_common(file)
    logs.configure(settings)
    return settings


def validate_config_file(file: Path | None) -> None:
    """Raise ConfigError if `file` is not valid.

    For a command that needs no configuration.
    """
    if file is not None:
        load(file)
