"""Reads the configuration: `publisher.toml` and environment variables.

The variables are called `CATEGORY_PUBLISHER_…`. The environment wins (nested with `__`:
`CATEGORY_PUBLISHER_CATALOGS__US__POLL_EVERY=5m`). Paths are relative to the file's folder. A secret
in the file is accepted only if nobody but its owner can read the file (contract, 7). Each mistake
becomes one line that names its location.
"""

import difflib
import json
import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from plumbing.config.settings import (
    ENV_PREFIX,
    CatalogSettings,
    CommonSettings,
    GuardSettings,
    RetentionSettings,
    Settings,
    ShopOverrides,
    StandInSettings,
    TikTokShopSettings,
)
from plumbing.errors import ConfigError

DEFAULT_FILE: Final = Path("publisher.toml")
ENV_TO: Final = "CATEGORY_PUBLISHER_TO"
"""Replaces a consumer's `--to` (contract, 7). It is not a setting, so it is ignored here."""
SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "catalogs": CatalogSettings,
    "guard": GuardSettings,
    "retention": RetentionSettings,
    "stand_ins": StandInSettings,
    "tiktok_shop": TikTokShopSettings,
}
SECRET_KEYS: Final = frozenset({"app_secret", "access_token", "refresh_token", "token_key"})
URL_KEYS: Final = frozenset({"redis_url", "url"})
"""Settings that may contain a user name and a password."""

AnySettings = TypeVar("AnySettings", bound=CommonSettings)
ShopSection = TypeVar("ShopSection", bound=ShopOverrides)


def load(file: Path | None = None) -> Settings:
    """Return the whole configuration, from the environment and `file`.

    Without `file` publisher.toml is read if it exists. Raises ConfigError with one line for each
    mistake: its location, what is wrong, and what to do.
    """
    settings, folder = _load(Settings, file)

    def resolve(section: ShopSection) -> ShopSection:
        paths = section.model_dump(include={"token_file", "access_token_file"}, exclude_none=True)
        folders = {"token_file": settings.data_dir, "access_token_file": folder}
        return section.model_copy(update={name: folders[name] / paths[name] for name in paths})

    def resolve_catalog(catalog: CatalogSettings) -> CatalogSettings:
        own: dict[str, Any] = {"stand_ins": tuple(map(resolve, catalog.stand_ins))}
        if catalog.source == "file":
            own["url"] = str(folder / (catalog.url or "").removeprefix("file://"))
        return resolve(catalog).model_copy(update=own)

    catalogs = {name: resolve_catalog(each) for name, each in settings.catalogs.items()}
    shop = resolve(settings.tiktok_shop)
    return settings.model_copy(update={"tiktok_shop": shop, "catalogs": catalogs})


def load_common(file: Path | None = None) -> CommonSettings:
    """Return the settings that a consumer needs, as `load` does.

    The contents of other sections, such as a shop's secrets, are neither parsed nor checked.
    """
    return _load(CommonSettings, file)[0]


def _load(model: type[AnySettings], file: Path | None) -> tuple[AnySettings, Path]:
    """Return the settings, and the folder to which paths are relative.

    `data_dir` is absolute.
    """
    path = file if file is not None else DEFAULT_FILE
    table = _read_toml(path) if file is not None or path.exists() else None
    known = Settings.model_fields.keys()
    # pydantic-settings would ignore a misspelled variable
    for variable in sorted(_our_variables()):
        key, *nested = variable[len(ENV_PREFIX) :].lower().split("__")
        if variable != ENV_TO and (key not in known or (nested and key not in SECTIONS)):
            raise ConfigError(f"environment: {variable}: unknown setting{_suggestion(key, known)}")
    others = known - model.model_fields.keys()
    own = {key: value for key, value in (table or {}).items() if key not in others}
    try:
        settings = model(**own)
    except ValidationError as error:
        mistakes = describe_mistakes(error, path if table is not None else None)
        raise ConfigError("\n".join(mistakes)) from None
    except SettingsError as error:
        raise ConfigError(_describe_invalid_json() or f"environment: {error}") from None
    if table is not None:
        _check_secrets_are_private(path, table)
    folder = path.parent.absolute() if table else Path.cwd()
    return settings.model_copy(update={"data_dir": folder / settings.data_dir}), folder


def describe_mistakes(
    error: ValidationError, path: Path | None, section: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield a line for each mistake in the configuration, without its value.

    `path` is the file that was read, if any, and `section` where the validated part of it is.
    """
    for mistake in error.errors(include_url=False, include_context=False, include_input=False):
        keys = section + tuple(str(key) for key in mistake["loc"] if key != "[key]")
        if mistake["type"] == "extra_forbidden":
            models = (SECTIONS[key] for key in reversed(keys[:-1]) if key in SECTIONS)
            what = f"unknown key{_suggestion(keys[-1], next(models, Settings).model_fields)}"
        elif mistake["type"] == "missing":
            what = "is missing"
        else:
            what = mistake["msg"].removeprefix("Value error, ")
        yield f"{_location_of(keys, path)}: {what}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; name it with --config FILE") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def _our_variables() -> Iterator[str]:
    return (name for name in os.environ if name.upper().startswith(ENV_PREFIX))


def _describe_invalid_json() -> str:
    """Describe in a line each variable that looks like JSON but is not.

    Such a variable starts like a JSON list or table.
    """
    lines = []
    for name in _our_variables():
        try:
            if os.environ[name].lstrip()[:1] in {"[", "{"}:
                json.loads(os.environ[name])
        except ValueError:
            lines.append(f"environment: {name}: must be JSON, because it is a list or a table")
    return "\n".join(lines)


def _location_of(keys: tuple[str, ...], path: Path | None) -> str:
    """Return where the value of `keys` comes from: a variable, or the file."""
    variable = (ENV_PREFIX + "__".join(keys)).upper()
    for name in _our_variables():
        is_below = path is None and name.upper().startswith(f"{variable}__")
        if name.upper() == variable or is_below:
            return f"environment: {name}"
        if variable.startswith(f"{name.upper()}__"):  # its JSON is a list or a table
            return f"environment: {name}: {'.'.join(keys[name.count('__') + 1 :])}"
    return f"{path or 'configuration'}: {'.'.join(keys)}"


def _suggestion(key: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {similar[0]}?)" if similar else ""


def _check_secrets_are_private(path: Path, table: Mapping[str, Any]) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 == 0:
        return
    for keys, value in _values(table):
        url = urlsplit(str(value) if keys[-1] in URL_KEYS else "")
        if keys[-1] in SECRET_KEYS or url.password is not None or "password=" in url.query:
            raise ConfigError(
                f"{path}: {'.'.join(keys)} is a secret, but other users can read the file "
                f"(mode {mode:04o}): run `chmod 600 {path}`, or put the secret into the "
                f"environment variable {(ENV_PREFIX + '__'.join(keys)).upper()}"
            )


def _values(
    table: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys and the value of each setting in `table` and the tables in it."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _values(value, (*above, key))
        elif isinstance(value, list):
            numbered = {str(number): each for number, each in enumerate(value)}
            yield from _values(numbered, (*above, key))
        else:
            yield (*above, key), value
