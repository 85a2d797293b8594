"""The settings of shops: stand-ins and the key of shared tokens."""

from pathlib import Path

import pytest

from plumbing.config.load import load
from plumbing.config.settings import Settings
from plumbing.config.shops import tiktok_shops_of
from plumbing.errors import ConfigError
from tests.publisher.sources.conftest import shop
from tests.publisher.sources.fake_shop import TOKEN_KEY as KEY
from tests.publisher.sources.fake_shop import FakeShop

__all__ = ["shop"]


def written(folder: Path, text: str) -> Path:
    file = folder / "publisher.toml"
    file.write_text(text)
    return file


MARKET = """
[catalogs.us]
source = "tiktok_shop"
shop_cipher = "one"
"""


def test_paths_and_overrides_of_a_stand_in(tmp_path: Path) -> None:
    """Its token_file is below data_dir; what it does not set is the catalog's."""
    stand_in = '[[catalogs.us.stand_ins]]\nshop_cipher = "two"\n'
    made = load(
        written(
            tmp_path,
            f'{MARKET}app_key = "k"\n{stand_in}{stand_in}token_file = "two.json"\napp_key = "l"\n',
        )
    )
    first, same, other = tiktok_shops_of(made, "us")
    assert first == same
    assert other.token_file == made.data_dir / "two.json"
    assert (first.app_key, other.app_key) == ("k", "l")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stand_ins = [{ }]", r"catalogs\.us\.stand_ins\.0\.shop_cipher: is missing"),
        (
            'stand_ins = [{ shop_ciphre = "x", shop_cipher = "y" }]',
            r"unknown key \(did you mean shop_cipher",
        ),
        ('stand_ins = [{ shop_cipher = "x", app_secret = "hush" }]', "is a secret, but others"),
    ],
)
def test_a_wrong_stand_in_is_named(tmp_path: Path, text: str, says: str) -> None:
    """As any other mistake of the configuration."""
    file = written(tmp_path, MARKET + text)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=says) as caught:
        load(file)
    assert "hush" not in str(caught.value)


def test_stand_ins_belong_to_shops() -> None:
    """A file has none."""
    catalog = {"source": "file", "url": "x", "stand_ins": [{"shop_cipher": "x"}]}
    with pytest.raises(ValueError, match='stand_ins belong to the source "tiktok_shop"'):
        Settings.model_validate({"catalogs": {"us": catalog}})


def test_a_stand_in_with_a_token_needs_a_file(shop: FakeShop, tmp_path: Path) -> None:
    """Or it would use, and replace, the first shop's."""
    stand_in = {"shop_cipher": "x", "access_token": "hush"}
    made = shop.settings(tmp_path, {"stand_ins": [stand_in]})
    with pytest.raises(ConfigError, match=r"catalogs\.us\.stand_ins\.0: access_token needs"):
        tiktok_shops_of(made, "us")


def test_stand_ins_come_from_the_environment_as_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So their secrets need not stand in the file; what is not JSON is one clear line."""
    variable = "CATEGORY_PUBLISHER_CATALOGS__US__STAND_INS"
    file = written(tmp_path, MARKET)
    monkeypatch.setenv(variable, '[{"shop_cipher": "two", "app_secret": "hush"}]')
    [_, second] = tiktok_shops_of(load(file), "us")
    assert second.app_secret
    assert second.app_secret.get_secret_value() == "hush"
    monkeypatch.setenv(variable, "hush")
    with pytest.raises(ConfigError, match=r'environment: .*"catalogs"') as caught:
        load(file)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, f"{KEY},{KEY}", f" {KEY} , {KEY} "])
def test_a_token_key_is_one_or_several(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With commas between; it shows in no repr."""
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY", key)
    assert KEY not in repr(load())


@pytest.mark.parametrize(
    "key", ["", "hush", f"{KEY},", f"{KEY};{KEY}", KEY[:-1], KEY[4:], "\u00fc" * 44, KEY * 2]
)
def test_what_is_no_token_key_is_told_with_how_to_make_one(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, its value is not."""
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY", key)
    with pytest.raises(ConfigError, match=r"TOKEN_KEY: not a Fernet key.*openssl rand") as caught:
        load()
    assert not key or key not in str(caught.value)


def test_a_token_key_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    """Is refused, as every secret."""
    file = written(tmp_path, f'[tiktok_shop]\ntoken_key = "{KEY}"\n')
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="token_key is a secret, but others"):
        load(file)
    file.chmod(0o600)
    assert load(file).tiktok_shop.token_key
