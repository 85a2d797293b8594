"""The settings of one shop.

They are [tiktok_shop] with the overrides of a catalog and a fallback shop.
"""

from pydantic import ValidationError

from plumbing.config.load import describe_mistakes
from plumbing.config.settings import TOKEN_OWNERS, Settings, ShopOverrides, TikTokShopSettings
from plumbing.errors import ConfigError


def tiktok_shops_of(settings: Settings, name: str) -> tuple[TikTokShopSettings, ...]:
    """Return the settings of catalog `name`'s own shop, then of its fallback shops.

    Raises ConfigError if there is no such catalog, or if overrides do not fit together.
    """
    numbers = range(len(settings.catalog(name).stand_ins) + 1)
    return tuple(tiktok_shop_of(settings, name, number) for number in numbers)


def tiktok_shop_of(settings: Settings, name: str, stand_in: int = 0) -> TikTokShopSettings:
    """Return the settings of one shop of catalog `name`.

    It is the catalog's own shop, or its fallback shop `stand_in`. Fallback shops are counted from
    1. Raises ConfigError as `tiktok_shops_of` does.
    """
    catalog = settings.catalog(name)
    shop = _with_overrides(settings.tiktok_shop, catalog, ("catalogs", name))
    if stand_in == 0:
        return shop
    if stand_in > len(catalog.stand_ins):
        raise ConfigError(
            f"catalogs.{name} has no fallback shop {stand_in}: it has {len(catalog.stand_ins)} "
            "(stand_ins)"
        )
    location = ("catalogs", name, "stand_ins", str(stand_in - 1))
    return _with_overrides(shop, catalog.stand_ins[stand_in - 1], location)


def _with_overrides(
    inherited: TikTokShopSettings, section: ShopOverrides, location: tuple[str, ...]
) -> TikTokShopSettings:
    """Return `inherited` with what `section`, at `location` in the file, overrides.

    A token, or an app, of its own needs a token_file of its own: with the inherited one it would
    use and replace the tokens of others.
    """
    own = section.model_dump(include=set(TikTokShopSettings.model_fields), exclude_none=True)
    base = inherited.model_dump()
    if own.keys() & TOKEN_OWNERS:
        base.update(dict.fromkeys([*TOKEN_OWNERS, "refresh_token"]))
    if "access_token" in own and "token_file" not in own:
        raise ConfigError(
            f"{'.'.join(location)}: access_token needs a token_file of its own here: the inherited "
            "one would win, and is for other tokens"
        )
    try:
        return TikTokShopSettings(**base | own)
    except ValidationError as error:
        raise ConfigError("\n".join(describe_mistakes(error, None, location))) from None
