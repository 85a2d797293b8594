"""The models of the configuration, with all defaults. `load` reads them."""

import base64
import re
import shlex
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
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from plumbing.errors import ConfigError
from plumbing.redis_url import parse as parse_redis_url

ENV_PREFIX: Final = "CATEGORY_PUBLISHER_"
CATALOG_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
LONGEST_DURATION: Final = timedelta(days=3650)
HIGHEST_PORT: Final = 65535
TOKEN_OWNERS: Final = ("access_token", "access_token_file", "access_token_command")
"""The settings that say where access tokens come from, of which a shop has one at most."""
KEY_BYTES: Final = 32
"""The size of a Fernet key, which is written in URL-safe base64."""


def _parse_duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration is text with a unit, such as "90s", "5m", "1h" or "30d"')
    try:
        duration = durationpy.from_str(value.strip())
    except durationpy.DurationError:
        raise ValueError('not a duration such as "90s", "5m", "1h" or "30d"') from None
    if not timedelta(0) < duration <= LONGEST_DURATION:
        raise ValueError("a duration must be longer than 0, and at most 3650d")
    return duration


def _check_name(value: str) -> str:
    if not CATALOG_NAME.fullmatch(value):
        raise ValueError(
            "a catalog's name has 1 to 63 characters of a-z, 0-9 and -, and does not start with -"
        )
    return value


def _check_http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        has_valid_port = parts.port is None or parts.port > 0
    except ValueError:
        has_valid_port = False
    if not has_valid_port or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http:// or https:// address")
    return value.rstrip("/")


Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
CatalogName = Annotated[str, AfterValidator(_check_name)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class GuardSettings(_Section):
    """Limits of a plausible snapshot (contract, 6).

    A snapshot that exceeds both the share and the number, of removals or of updates, is held.
    """

    max_removed_share: Share = 0.1
    max_removed: Annotated[int, Field(ge=0)] = 20
    max_updated_share: Share = 0.5
    max_updated: Annotated[int, Field(ge=0)] = 100


class RetentionSettings(_Section):
    """Limits of the stream, applied at each commit (contract, 5.9)."""

    max_age: Duration = timedelta(days=30)
    max_events: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1_000_000


class ShopOverrides(_Section):
    """The app and its tokens, each of which a shop may override.

    They are set in [tiktok_shop], and overridden by a catalog or a fallback shop.
    """

    app_key: Text | None = None
    app_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    token_file: Path | None = None
    access_token_file: Path | None = None
    access_token_command: str | None = None
    token_key: SecretStr | None = None
    """If set, the token pair is in Redis, encrypted with this key, and not in a file.

    Several keys are separated by commas: the first encrypts, and each of them can decrypt.
    """

    @field_validator("access_token_command")
    @classmethod
    def _check_command(cls, value: str | None) -> str | None:
        if value is not None and not shlex.split(value):
            raise ValueError("the command is empty")
        return value

    @field_validator("token_key")
    @classmethod
    def _check_token_key(cls, value: SecretStr | None) -> SecretStr | None:
        for key in value.get_secret_value().split(",") if value is not None else ():
            try:
                size = len(base64.b64decode(key.strip(), altchars="-_", validate=True))
            except ValueError:
                size = 0
            if size != KEY_BYTES:
                raise ValueError(
                    "must be a Fernet key, or several Fernet keys separated by commas: create a "
                    "key with `openssl rand -base64 32 | tr +/ -_`"
                )
        return value


class TikTokShopSettings(ShopOverrides):
    """The app, its tokens and the API's addresses.

    A catalog may override each of them.
    """

    api_url: HttpUrl = "https://open-api.tiktokglobalshop.com"
    auth_url: HttpUrl = "https://auth.tiktok-shops.com"
    token_file: Path = Path("tiktok-shop-tokens.json")
    """Where `authorize` and each refresh store the token pair; relative to `data_dir`."""

    @model_validator(mode="after")
    def _check_one_token_owner(self) -> Self:
        owners = [name for name in TOKEN_OWNERS if getattr(self, name) is not None]
        if len(owners) > 1:
            raise ValueError(f"{' and '.join(owners)} exclude each other: keep one")
        return self


class StandInSettings(ShopOverrides):
    """A fallback shop of the same market, used while the shops before it are closed.

    What is not set here is inherited from the catalog.
    """

    shop_cipher: Text


class CatalogSettings(ShopOverrides):
    """One category tree that is kept in sync."""

    source: Literal["tiktok_shop", "http", "file"]
    url: Text | None = Field(default=None, repr=False)  # it may contain a password
    """The address of an `http` source, or the path of a `file` source."""
    poll_every: Duration = timedelta(hours=1)
    request_timeout: Duration = timedelta(seconds=60)
    """The limit of time for one whole request, including its body."""
    max_body_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """The limit of size for one answer, after decompression.

    200,000 categories of 125 bytes make 25 MB.
    """
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

    @model_validator(mode="after")
    def _check_url_fits_source(self) -> Self:
        if self.source == "tiktok_shop" and self.url is not None:
            raise ValueError('url belongs to the sources "http" and "file"; here it is api_url')
        if self.source != "tiktok_shop" and self.url is None:
            raise ValueError(f'source "{self.source}" needs a url')
        if self.source != "tiktok_shop" and self.stand_ins:
            raise ValueError('stand_ins belong to the source "tiktok_shop"')
        if self.source == "http":
            _check_http_url(self.url or "")
        return self


class CommonSettings(BaseSettings):
    """The settings that publisher and consumers share: all that a consumer needs."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    redis_url: SecretStr | None = None
    """If not set: the embedded server, on the socket `data_dir/redis.sock`."""
    data_dir: Path = Path("data")
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_redis_url(value.get_secret_value())
        return value

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        """Let the environment win over the file, whose values are the keyword arguments."""
        return sources["env_settings"], sources["init_settings"]


class Settings(CommonSettings):
    """The whole configuration: what the publisher needs."""

    lease: Duration = timedelta(seconds=30)
    """How soon other publishers take over the catalogs of one that died."""
    polls_at_once: Annotated[int, Field(ge=1)] = 8
    """The limit of concurrent requests to one source host for one app."""
    http_listen: str = "127.0.0.1:9464"
    """Where `run` serves health and metrics: "host:port", or "off"."""
    catalogs: dict[CatalogName, CatalogSettings] = {}
    tiktok_shop: TikTokShopSettings = TikTokShopSettings()

    @field_validator("http_listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value != "off" and not (host and port.isdecimal() and int(port) <= HIGHEST_PORT):
            raise ValueError('not "host:port", such as "127.0.0.1:9464", and not "off"')
        return value

    def catalog(self, name: str) -> CatalogSettings:
        """Return the settings of catalog `name`.

        Raises ConfigError if it is not configured.
        """
        if name not in self.catalogs:
            known = ", ".join(sorted(self.catalogs)) or "none"
            raise ConfigError(
                f"catalog {name!r} is not configured (configured: {known}): "
                f"add a section [catalogs.{name}] to publisher.toml"
            )
        return self.catalogs[name]


def check_catalog_name(name: str) -> str:
    """Return `name`. Raises ConfigError if it cannot name a catalog."""
    try:
        return _check_name(name)
    except ValueError as error:
        raise ConfigError(f"catalog {name!r}: {error}") from None
