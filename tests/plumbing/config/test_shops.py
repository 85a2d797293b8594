"""The settings of shops: fallback shops and the key of shared tokens."""

from pathlib import Path

import pytest

from plumbing.config.load import load
from plumbing.config.settings import Settings
from plumbing.config.shops import tiktok_shop_of, tiktok_shops_of
from plumbing.errors import ConfigError
from tests.publisher.sources.conftest import shop
from tests.publisher.sources.fake_shop import TOKEN_KEY as KEY
from tests.publisher.sources.fake_shop import FakeShop
from tests.support.messages import whole

pytestmark = pytest.mark.contract("7")

__all__ = ["shop"]


def write_config(folder: Path, text: str) -> Path:
    file = folder / "publisher.toml"
    file.write_text(text)
    return file


MARKET = """
[catalogs.us]
source = "tiktok_shop"
shop_cipher = "one"
"""


def test_a_catalog_overrides_the_shop(tmp_path: Path) -> None:
    """A catalog may override each key of [tiktok_shop].

    Its token owner replaces the shared one.
    """
    file = write_config(
        tmp_path,
        '[catalogs.us]\nsource = "tiktok_shop"\napi_url = "http://127.0.0.1:1"\n'
        'access_token_command = "get-token us"\n'
        '[tiktok_shop]\napp_key = "k"\naccess_token_file = "token"\n',
    )
    shop = tiktok_shop_of(load(file), "us")
    assert (shop.api_url, shop.app_key) == ("http://127.0.0.1:1", "k")
    assert (shop.access_token_command, shop.access_token_file) == ("get-token us", None)


def test_a_fallback_shop_inherits_from_its_catalog(tmp_path: Path) -> None:
    """What it does not set is the catalog's; its token_file is in data_dir."""
    stand_in = '[[catalogs.us.stand_ins]]\nshop_cipher = "two"\n'
    settings = load(
        write_config(
            tmp_path,
            f'{MARKET}app_key = "k"\n{stand_in}{stand_in}token_file = "two.json"\napp_key = "l"\n',
        )
    )
    first, same, other = tiktok_shops_of(settings, "us")
    assert first == same
    assert other.token_file == settings.data_dir / "two.json"
    assert (first.app_key, other.app_key) == ("k", "l")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stand_ins = [{ }]", r"catalogs\.us\.stand_ins\.0\.shop_cipher: is missing"),
        (
            'stand_ins = [{ shop_ciphre = "x", shop_cipher = "y" }]',
            r"unknown key \(did you mean shop_cipher",
        ),
        (
            'stand_ins = [{ shop_cipher = "x", app_secret = "hush" }]',
            "is a secret, but other users",
        ),
    ],
)
def test_a_mistake_in_a_fallback_shop_names_its_location(
    tmp_path: Path, text: str, message: str
) -> None:
    """The keys are counted from 0, as in the file."""
    file = write_config(tmp_path, MARKET + text)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=message) as caught:
        load(file)
    assert "hush" not in str(caught.value)


def test_rejects_fallback_shops_of_other_sources() -> None:
    """Only the source `tiktok_shop` has fallback shops."""
    catalog = {"source": "file", "url": "x", "stand_ins": [{"shop_cipher": "x"}]}
    with pytest.raises(
        ValueError,
        match=r'\ncatalogs\.us\n  Value error, stand_ins belong to the source "tiktok_shop" \[',
    ):
        Settings.model_validate({"catalogs": {"us": catalog}})


def test_a_fallback_shop_with_a_token_needs_a_token_file(shop: FakeShop, tmp_path: Path) -> None:
    """With the inherited file it would use, and replace, the first shop's tokens."""
    stand_in = {"shop_cipher": "x", "access_token": "hush"}
    settings = shop.settings(tmp_path, {"stand_ins": [stand_in]})
    with pytest.raises(
        ConfigError,
        match=whole(
            "catalogs.us.stand_ins.0: access_token needs a token_file of its own here: the "
            "inherited one would win, and is for other tokens"
        ),
    ):
        tiktok_shops_of(settings, "us")


def test_reads_fallback_shops_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable has a JSON list, so that their secrets need not be in the file."""
    variable = "CATEGORY_PUBLISHER_CATALOGS__US__STAND_INS"
    file = write_config(tmp_path, MARKET)
    monkeypatch.setenv(variable, '[{"shop_cipher": "two", "app_secret": "hush"}]')
    [_, second] = tiktok_shops_of(load(file), "us")
    assert second.app_secret
    assert second.app_secret.get_secret_value() == "hush"
    monkeypatch.setenv(variable, "hush")
    with pytest.raises(
        ConfigError,
        match=whole(
            'environment: error parsing value for field "catalogs" from source "EnvSettingsSource"'
        ),
    ) as caught:
        load(file)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, f"{KEY},{KEY}", f" {KEY} , {KEY} "])
def test_accepts_one_token_key_or_several(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are separated by commas; no repr shows them."""
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY", key)
    assert KEY not in repr(load())


@pytest.mark.parametrize(
    "key", ["", "hush", f"{KEY},", f"{KEY};{KEY}", KEY[:-1], KEY[4:], "\u00fc" * 44, KEY * 2]
)
def test_a_wrong_token_key_is_an_error(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and how to create a key.

    It does not show the value.
    """
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY", key)
    with pytest.raises(
        ConfigError,
        match=whole(
            "environment: CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY: must be a Fernet key, or "
            "several Fernet keys separated by commas: create a key with `openssl rand -base64 "
            "32 | tr +/ -_`"
        ),
    ) as caught:
        load()
    assert not key or key not in str(caught.value)


def test_rejects_a_token_key_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    """A token key is a secret."""
    file = write_config(tmp_path, f'[tiktok_shop]\ntoken_key = "{KEY}"\n')
    file.chmod(0o644)
    with pytest.raises(
        ConfigError,
        match=whole(
            "<any>/publisher.toml: tiktok_shop.token_key is a secret, but other users can "
            "read the file (mode 0644): run `chmod 600 <any>/publisher.toml`, or put the "
            "secret into the environment variable CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY"
        ),
    ):
        load(file)
    file.chmod(0o600)
    assert load(file).tiktok_shop.token_key


@pytest.mark.parametrize(
    ("keys", "section"),
    [
        ("access_token_file = 'x'\naccess_token_command = 'y'", "catalogs.us"),
        (
            "stand_ins = [{ shop_cipher = 'c', access_token_file = 'x', access_token_command = 'y' }]",
            "catalogs.us.stand_ins.0",
        ),
    ],
)
def test_two_owners_of_tokens_in_one_section(folder: Path, keys: str, section: str) -> None:
    """The message names the section that has both."""
    file = folder / "publisher.toml"
    file.write_text(f"[catalogs.us]\nsource = 'tiktok_shop'\n{keys}\n")
    with pytest.raises(ConfigError) as caught:
        tiktok_shops_of(load(file), "us")
    assert str(caught.value) == (
        f"configuration: {section}: access_token_file and access_token_command exclude each other: "
        "keep one"
    )
