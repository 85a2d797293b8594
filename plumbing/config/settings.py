"""The configuration: `publisher.toml` and environment variables `CATEGORY_PUBLISHER_…`.

The environment wins (nested with `__`: `CATEGORY_PUBLISHER_CATALOGS__US__POLL_EVERY=5m`).
Paths are relative to the file's folder. A secret in the file is accepted only if nobody but its
owner can read the file (contract, 7). Every mistake becomes one line that names its place.
"""

import base64
import difflib
import json
import os
import re
import shlex
import stat
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import durationpy
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from plumbing import redis_url as redis_address
from plumbing.errors import ConfigError

ENV_PREFIX: Final = "CATEGORY_PUBLISHER_"
ENV_TO: Final = "CATEGORY_PUBLISHER_TO"
"""Stands for a consumer's `--to` (contract, 7): no setting, so it is passed over here."""
DEFAULT_FILE: Final = Path("publisher.toml")
CATALOG_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
LONGEST_DURATION: Final = timedelta(days=3650)
HIGHEST_PORT: Final = 65535
KEY_BYTES: Final = 32
"""Of a Fernet key, which is written in URL-safe base64."""
SECTIONS: Final = frozenset({"catalogs", "tiktok_shop"})
SECRET_KEYS: Final = frozenset({"app_secret", "access_token", "refresh_token", "token_key"})
URL_KEYS: Final = frozenset({"redis_url", "url"})
"""Settings that may carry a user name and a password."""


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration is text with a unit, such as "90s", "5m", "1h" or "30d"')
    try:
        duration = durationpy.from_str(value.strip())
    except durationpy.DurationError:
        raise ValueError('not a duration such as "90s", "5m", "1h" or "30d"') from None
    if not timedelta(0) < duration <= LONGEST_DURATION:
        raise ValueError("a duration must be longer than nothing, and at most 3650d")
    return duration


def _catalog_name(value: str) -> str:
    if not CATALOG_NAME.fullmatch(value):
        raise ValueError("a catalog's name is 1 to 63 of a-z, 0-9 and -, and does not begin with -")
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        port_is_readable = False
    if not port_is_readable or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http:// or https:// address")
    return value.rstrip("/")


def _redis_url(value: SecretStr) -> SecretStr:
    redis_address.parse(value.get_secret_value())
    return value


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value != "off" and not (host and port.isdecimal() and int(port) <= HIGHEST_PORT):
        raise ValueError('not "host:port", such as "127.0.0.1:9464", and not "off"')
    return value


def _token_key(value: SecretStr) -> SecretStr:
    for key in value.get_secret_value().split(","):
        try:
            is_key = len(base64.b64decode(key.strip(), altchars="-_", validate=True)) == KEY_BYTES
        except ValueError:
            is_key = False
        if not is_key:
            raise ValueError(
                "not a Fernet key, or several with commas between: make one with "
                "`openssl rand -base64 32 | tr +/ -_`"
            )
    return value


def _shell_words(value: str) -> str:
    if not shlex.split(value):
        raise ValueError("the command is empty")
    return value


TokenKey = Annotated[SecretStr, AfterValidator(_token_key)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
CatalogName = Annotated[str, AfterValidator(_catalog_name)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class GuardSettings(_Section):
    """When a snapshot is withheld: strictly more than the share and the number (contract, 6)."""

    max_removed_share: Share = 0.1
    max_removed: Annotated[int, Field(ge=0)] = 20
    max_updated_share: Share = 0.5
    max_updated: Annotated[int, Field(ge=0)] = 100


class RetentionSettings(_Section):
    """How much of the stream is kept at a commit (contract, 5.9)."""

    max_age: Duration = timedelta(days=30)
    max_events: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1_000_000


class TikTokShopSettings(_Section):
    """The app, its tokens and where the API is; a catalog may override any of it."""

    api_url: HttpUrl = "https://open-api.tiktokglobalshop.com"
    auth_url: HttpUrl = "https://auth.tiktok-shops.com"
    app_key: Text | None = None
    app_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    token_file: Path = Path("tiktok-shop-tokens.json")
    """Where `authorize` and the refresher keep the pair; relative to `data_dir`."""
    access_token_file: Path | None = None
    access_token_command: Annotated[str, AfterValidator(_shell_words)] | None = None
    token_key: TokenKey | None = None
    """Set: the pair lives in Redis, encrypted with this, for all publishers; not in a file."""

    @model_validator(mode="after")
    def _one_owner_of_the_tokens(self) -> Self:
        owners = [
            name
            for name in ("access_token", "access_token_file", "access_token_command")
            if getattr(self, name) is not None
        ]
        if len(owners) > 1:
            raise ValueError(f"{' and '.join(owners)} exclude each other: keep one")
        return self


class StandInSettings(_Section):
    """Another shop of the market, asked when those before it cannot answer any more.

    What is not set here is as in the catalog.
    """

    shop_cipher: Text
    app_key: Text | None = None
    app_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    token_file: Path | None = None
    access_token_file: Path | None = None
    access_token_command: Annotated[str, AfterValidator(_shell_words)] | None = None
    token_key: TokenKey | None = None


class CatalogSettings(_Section):
    """One category tree that is kept in sync."""

    source: Literal["tiktok_shop", "http", "file"]
    url: Text | None = Field(default=None, repr=False)  # it may carry a password
    """Of `http` its address, of `file` its path; the API's JSON or a bare list."""
    poll_every: Duration = timedelta(hours=1)
    request_timeout: Duration = timedelta(seconds=60)
    """For one whole request, its body included."""
    max_body_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Of one answer, after decompression. 200,000 categories of 125 bytes make 25 MB."""
    locale: Text | None = None
    category_version: Annotated[str, Field(pattern=r"^v\d+$")] | None = None
    shop_cipher: Text | None = None
    listing_platform: Text | None = None
    include_prohibited_categories: bool | None = None
    stand_ins: tuple[StandInSettings, ...] = ()
    guard: GuardSettings = GuardSettings()
    retention: RetentionSettings = RetentionSettings()

    api_url: HttpUrl | None = None
    auth_url: HttpUrl | None = None
    app_key: Text | None = None
    app_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    token_file: Path | None = None
    access_token_file: Path | None = None
    access_token_command: Annotated[str, AfterValidator(_shell_words)] | None = None
    token_key: TokenKey | None = None

    @model_validator(mode="after")
    def _url_fits_source(self) -> Self:
        if self.source == "tiktok_shop" and self.url is not None:
            raise ValueError('url belongs to the sources "http" and "file"; here it is api_url')
        if self.source != "tiktok_shop" and self.url is None:
            raise ValueError(f'source "{self.source}" needs a url')
        if self.source != "tiktok_shop" and self.stand_ins:
            raise ValueError('stand_ins belong to the source "tiktok_shop"')
        if self.source == "http":
            _http_url(self.url or "")
        return self

    @property
    def origin(self) -> dict[str, Any]:
        """What makes this catalog this one, in the contract's order (contract, 2)."""
        return {
            "source": self.source,
            "locale": self.locale,
            "category_version": self.category_version,
            "listing_platform": self.listing_platform,
            "include_prohibited_categories": self.include_prohibited_categories,
        }


class Settings(BaseSettings):
    """The whole configuration, checked. Build it with `load`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    """Unset: the embedded server, on the socket `data_dir/redis.sock`."""
    data_dir: Path = Path("data")
    lease: Duration = timedelta(seconds=30)
    """Within this time the catalogs of a publisher that died are taken over by others."""
    polls_at_once: Annotated[int, Field(ge=1)] = 8
    """Requests that may be under way at once to one source host for one app."""
    http_listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:9464"
    """Where `run` serves health and metrics: "host:port", or "off"."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    catalogs: dict[CatalogName, CatalogSettings] = {}
    tiktok_shop: TikTokShopSettings = TikTokShopSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which comes in as keyword arguments."""
        return env_settings, init_settings

    def catalog(self, name: str) -> CatalogSettings:
        """Return the settings of catalog `name`; ConfigError if there is none."""
        if name not in self.catalogs:
            known = ", ".join(sorted(self.catalogs)) or "none"
            raise ConfigError(
                f"catalog {name!r} is not configured (configured: {known}): "
                f"add a section [catalogs.{name}] to publisher.toml"
            )
        return self.catalogs[name]

    def tiktok_shop_of(self, name: str, stand_in: int = 0) -> TikTokShopSettings:
        """Return [tiktok_shop] with what catalog `name` overrides of it.

        And with what its stand-in number `stand_in`, counted from 1, overrides of that.
        """
        catalog = self.catalog(name)
        made = _overridden(self.tiktok_shop, catalog, ("catalogs", name))
        if stand_in == 0:
            return made
        if stand_in > len(catalog.stand_ins):
            raise ConfigError(
                f"catalogs.{name} has no stand-in {stand_in}: it has {len(catalog.stand_ins)}"
            )
        place = ("catalogs", name, "stand_ins", str(stand_in - 1))
        return _overridden(made, catalog.stand_ins[stand_in - 1], place)

    def tiktok_shops_of(self, name: str) -> tuple[TikTokShopSettings, ...]:
        """Return `tiktok_shop_of` catalog `name` and of each of its stand-ins, in their order."""
        numbers = range(len(self.catalog(name).stand_ins) + 1)
        return tuple(self.tiktok_shop_of(name, number) for number in numbers)


def _overridden(
    inherited: TikTokShopSettings, section: _Section, place: tuple[str, ...]
) -> TikTokShopSettings:
    """Return `inherited` with what `section`, which stands at `place`, has of its own.

    A token, or an app, of its own needs a token_file of its own: with the inherited one it would
    use and replace the tokens of others.
    """
    own = {
        field: value
        for field in TikTokShopSettings.model_fields
        if (value := getattr(section, field, None)) is not None
    }
    owners = {"access_token", "access_token_file", "access_token_command"}
    base = inherited.model_dump()
    if owners & own.keys():
        base.update(dict.fromkeys(owners | {"refresh_token"}))
    if "access_token" in own and "token_file" not in own:
        raise ConfigError(
            f"{'.'.join(place)}: access_token needs a token_file of its own here: the inherited "
            "one would win, and is for other tokens"
        )
    try:
        return TikTokShopSettings(**{**base, **own})
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(error, None, place))) from None


def load(file: Path | None = None) -> Settings:
    """Read the configuration from the environment and `file` (default: publisher.toml, if any).

    Raises ConfigError with one line per mistake: the place, what is wrong, what to do.
    """
    path = file if file is not None else DEFAULT_FILE
    written = _read(path) if file is not None or path.exists() else None
    _refuse_unknown_variables()
    try:
        settings = Settings(**(written or {}))
    except ValidationError as error:
        where = path if written is not None else None
        raise ConfigError("\n".join(_lines(error, where))) from None
    except SettingsError as error:
        raise ConfigError(_not_json() or f"environment: {error}") from None
    if written is not None:
        _refuse_readable_secrets(path, written)
    return _with_absolute_paths(settings, path.parent.absolute() if written else Path.cwd())


def check_catalog_name(name: str) -> str:
    """Return `name` if it can name a catalog; ConfigError if not."""
    try:
        return _catalog_name(name)
    except ValueError as error:
        raise ConfigError(f"catalog {name!r}: {error}") from None


def _read(path: Path) -> dict[str, Any]:
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


def _refuse_unknown_variables() -> None:
    known = Settings.model_fields.keys()
    for variable in sorted(os.environ):
        if not variable.upper().startswith(ENV_PREFIX) or variable == ENV_TO:
            continue
        key, *inside = variable[len(ENV_PREFIX) :].lower().split("__")
        if key not in known or (inside and key not in SECTIONS):
            raise ConfigError(f"environment: {variable}: unknown setting{_guess(key, known)}")


def _ours() -> Iterator[str]:
    """Yield the names of the environment's variables that are settings."""
    return (name for name in os.environ if name.upper().startswith(ENV_PREFIX))


def _not_json() -> str:
    """Return a line for each variable that looks like JSON and is none, as lists and tables are."""
    lines = []
    for name in _ours():
        try:
            if os.environ[name].lstrip()[:1] in {"[", "{"}:
                json.loads(os.environ[name])
        except ValueError:
            lines.append(f"environment: {name}: is not JSON, as a list or a table has to be there")
    return "\n".join(lines)


def _lines(
    error: ValidationError, path: Path | None, inside: tuple[str, ...] = ()
) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        keys = inside + tuple(str(key) for key in problem["loc"] if key != "[key]")
        yield f"{_place(keys, path)}: {_what(problem['type'], problem['msg'], keys)}"


def _place(keys: tuple[str, ...], path: Path | None) -> str:
    variable = (ENV_PREFIX + "__".join(keys)).upper()
    for name in _ours():
        is_below = path is None and name.upper().startswith(f"{variable}__")
        if name.upper() == variable or is_below:
            return f"environment: {name}"
        if variable.startswith(f"{name.upper()}__"):  # its JSON is a list or a table
            inside = keys[name.count("__") + 1 :]
            return f"environment: {name}: {'.'.join(inside)}"
    dotted = ".".join(keys)
    return f"{path}: {dotted}" if path else f"configuration: {dotted}"


def _what(kind: str, message: str, keys: tuple[str, ...]) -> str:
    if kind == "extra_forbidden":
        return f"unknown key{_guess(keys[-1], _siblings(keys))}"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ")


def _siblings(keys: tuple[str, ...]) -> Mapping[str, Any]:
    sections: dict[str, Mapping[str, Any]] = {
        "tiktok_shop": TikTokShopSettings.model_fields,
        "catalogs": CatalogSettings.model_fields,
    }
    inner: dict[str, Mapping[str, Any]] = {
        "guard": GuardSettings.model_fields,
        "retention": RetentionSettings.model_fields,
    }
    if "stand_ins" in keys:
        return StandInSettings.model_fields
    if len(keys) > 1 and keys[-2] in inner:
        return inner[keys[-2]]
    return sections.get(keys[0], {}) if len(keys) > 1 else Settings.model_fields


def _guess(key: str, known: Any) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _refuse_readable_secrets(path: Path, written: Mapping[str, Any]) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 == 0:
        return
    for keys, value in _leaves(written):
        if keys[-1] in SECRET_KEYS or (keys[-1] in URL_KEYS and _has_password(value)):
            raise ConfigError(
                f"{path}: {'.'.join(keys)} is a secret, but others than the owner can read the "
                f"file (mode {mode:04o}): run `chmod 600 {path}`, or put the secret into the "
                f"environment variable {(ENV_PREFIX + '__'.join(keys)).upper()}"
            )


def _leaves(
    section: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        elif isinstance(value, list):
            for number, each in enumerate(value):
                if isinstance(each, Mapping):
                    yield from _leaves(each, (*above, key, str(number)))
        else:
            yield (*above, key), value


def _has_password(value: Any) -> bool:
    parts = urlsplit(str(value))
    return parts.password is not None or "password=" in parts.query


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    data_dir = base / settings.data_dir

    def below(folder: Path, path: Path | None) -> Path | None:
        return folder / path if path is not None else None

    def tokens_of(section: CatalogSettings | StandInSettings) -> dict[str, Any]:
        return {
            "token_file": below(data_dir, section.token_file),
            "access_token_file": below(base, section.access_token_file),
        }

    def of_catalog(catalog: CatalogSettings) -> CatalogSettings:
        stand_ins = (each.model_copy(update=tokens_of(each)) for each in catalog.stand_ins)
        paths = {**tokens_of(catalog), "stand_ins": tuple(stand_ins)}
        if catalog.source == "file":
            paths["url"] = str(base / (catalog.url or "").removeprefix("file://"))
        return catalog.model_copy(update=paths)

    shop = settings.tiktok_shop
    return settings.model_copy(
        update={
            "data_dir": data_dir,
            "tiktok_shop": shop.model_copy(
                update={
                    "token_file": data_dir / shop.token_file,
                    "access_token_file": below(base, shop.access_token_file),
                }
            ),
            "catalogs": {name: of_catalog(each) for name, each in settings.catalogs.items()},
        }
    )
