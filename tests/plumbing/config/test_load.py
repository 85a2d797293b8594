"""The configuration is read from file and environment.

Each mistake is one clear line.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from plumbing.config.load import load, load_common
from plumbing.config.settings import GuardSettings
from plumbing.errors import ConfigError
from tests.support.messages import whole

pytestmark = pytest.mark.contract("7")

WHOLE = """
redis_url = "redis://localhost:6379/0"
data_dir = "data"

[catalogs.us]
source = "tiktok_shop"
poll_every = "1h"
locale = "en-US"
category_version = "v2"
shop_cipher = "…"
guard = { max_removed_share = 0.1, max_removed = 20, max_updated_share = 0.5, max_updated = 100 }
retention = { max_age = "30d", max_events = 1000000 }

[catalogs.shelf]
source = "file"
url = "trees/shelf.json"

[tiktok_shop]
api_url = "https://open-api.tiktokglobalshop.com"
auth_url = "https://auth.tiktok-shops.com"
"""


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "publisher.toml"


def refusal(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_loads_the_example_of_the_contract(file: Path) -> None:
    """Paths are relative to the file."""
    file.write_text(WHOLE)
    settings = load(file)
    us, shelf = settings.catalogs["us"], settings.catalogs["shelf"]
    assert us.poll_every == timedelta(hours=1)
    assert us.retention.max_age == timedelta(days=30)
    assert us.guard == GuardSettings()
    assert settings.data_dir == file.parent / "data"
    assert shelf.url == str(file.parent / "trees" / "shelf.json")
    assert (us.source, us.locale, us.category_version) == ("tiktok_shop", "en-US", "v2")
    assert (us.listing_platform, us.include_prohibited_categories) == (None, None)


def test_everything_has_a_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file paths are relative to the working directory."""
    monkeypatch.chdir(folder)
    settings = load()
    assert settings.redis_url is None
    assert settings.data_dir == folder / "data"


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two underscores lead into a section; its other values are the file's."""
    file.write_text(WHOLE)
    monkeypatch.setenv("CATEGORY_PUBLISHER_CATALOGS__US__POLL_EVERY", "90s")
    monkeypatch.setenv("CATEGORY_PUBLISHER_CATALOGS__US__GUARD__MAX_REMOVED", "7")
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET", "hush")
    settings = load(file)
    assert settings.catalogs["us"].poll_every == timedelta(seconds=90)
    assert settings.catalogs["us"].guard.max_removed == 7
    assert settings.catalogs["us"].locale == "en-US"
    assert "hush" not in repr(settings)


def test_ignores_the_target_of_a_consumer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CATEGORY_PUBLISHER_TO is not a setting."""
    file.write_text(WHOLE)
    monkeypatch.setenv("CATEGORY_PUBLISHER_TO", "postgresql://u:p@h/d")
    assert load(file).catalogs.keys() == {"us", "shelf"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("redis_ur = 1", "redis_ur: unknown key (did you mean redis_url?)"),
        ('redis_url = "redis://h:6391/x"', "redis_url: not a Redis address"),
        ('redis_url = "redis://h/0?decode_responses=True"', "the option decode_responses cannot"),
        ('redis_url = "redis://h/0?ssl_ca_certs=/x"', "the option ssl_ca_certs cannot be used"),
        ('[catalogs.us]\nsource = "tiktok_shop"\nretention = { max_events = 9223372036854775808 }', "max_events: Input should be less"),
        ('[catalogs.us]\nsource = "tiktok_shop"\npoll_every = "3000000d"', "at most 3650d"),
        ('redis_url = "http://x"', "redis_url: not a Redis address: redis://host:6379/0"),
        ('[catalogs.US]\nsource = "file"\nurl = "x"', "catalogs.US: a catalog's name has 1 to 63"),
        ("[catalogs.us]", "catalogs.us.source: is missing"),
        ('[catalogs.us]\nsource = "ftp"', "catalogs.us.source: Input should be 'tiktok_shop'"),
        ('[catalogs.us]\nsource = "file"', 'catalogs.us: source "file" needs a url'),
        ('[catalogs.us]\nsource = "http"\nurl = "ftp://x"', "catalogs.us: not an http:// or"),
        ('[catalogs.us]\nsource = "tiktok_shop"\nurl = "x"', "catalogs.us: url belongs to"),
        ('[catalogs.us]\nsource = "tiktok_shop"\npoll_every = 5', "poll_every: a duration is text"),
        ('[catalogs.us]\nsource = "tiktok_shop"\npoll_every = "soon"', "poll_every: not a duration"),
        ('[catalogs.us]\nsource = "tiktok_shop"\npoll_every = "-1h"', "poll_every: a duration must"),
        ('[catalogs.us]\nsource = "tiktok_shop"\nlocale = ""', "catalogs.us.locale: String should"),
        ('[catalogs.us]\nsource = "tiktok_shop"\ncategory_version = "2"', "category_version: String"),
        (
            '[catalogs.us]\nsource = "tiktok_shop"\nguard = { max_removd = 1 }',
            "catalogs.us.guard.max_removd: unknown key (did you mean max_removed?)",
        ),
        (
            '[catalogs.us]\nsource = "tiktok_shop"\nguard = { max_removed_share = 7 }',
            "catalogs.us.guard.max_removed_share: Input should be less than or equal to 1",
        ),
        ('[tiktok_shop]\napi_url = "shop"', "tiktok_shop.api_url: not an http:// or https://"),
        ('[tiktok_shop]\napp_kye = "x"', "tiktok_shop.app_kye: unknown key (did you mean app_key?)"),
        ("x = ]", "is not TOML: Invalid value (at line 1, column 5)"),
        ("log_level = 'loud'", "log_level: Input should be 'debug'"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_location(file: Path, text: str, line: str) -> None:
    """The line has the file, the key, and what is wrong."""
    message = refusal(file, text)
    assert message.startswith(f"{file}: ")
    assert line in message


def test_reports_all_mistakes_at_once(file: Path) -> None:
    """Each has a line."""
    message = refusal(file, '[catalogs.us]\nsource = "file"\npol = 1\n[catalogs.de]\nlocal = "x"\n')
    assert [line.removeprefix(f"{file}: ") for line in message.splitlines()] == [
        "catalogs.us.pol: unknown key",
        "catalogs.de.source: is missing",
        "catalogs.de.local: unknown key (did you mean locale?)",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("CATEGORY_PUBLISHER_REDIS_URL", "localhost", "environment: CATEGORY_PUBLISHER_REDIS_URL: not"),
        ("CATEGORY_PUBLISHER_REDISURL", "x", "REDISURL: unknown setting (did you mean redis_url?)"),
        ("CATEGORY_PUBLISHER_DATA_DIR__X", "1", "DATA_DIR__X: unknown setting"),
        ("CATEGORY_PUBLISHER_CATALOGS__US__POLL_EVERY", "5", "CATALOGS__US__POLL_EVERY: not a dur"),
        ("CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KYE", "x", "TIKTOK_SHOP__APP_KYE: unknown key (did"),
        ("CATEGORY_PUBLISHER_CATALOGS", "{", "environment: "),
    ],
)  # fmt: skip
def test_a_mistake_in_the_environment_names_the_variable(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    """The line does not name a key of the file."""
    monkeypatch.setenv(variable, value)
    assert line in refusal(file, WHOLE)


def test_a_named_file_must_exist(folder: Path) -> None:
    """Only the default file may be missing."""
    with pytest.raises(
        ConfigError, match=whole("<any>/other.toml: no such file; name it with --config FILE")
    ):
        load(folder / "other.toml")


def test_a_file_that_cannot_be_read_is_an_error_line(folder: Path) -> None:
    """A folder, or a file that is not UTF-8, cannot be read."""
    with pytest.raises(ConfigError, match=whole("<any>: cannot be read: Is a directory")):
        load(folder)
    (folder / "x.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=whole("<any>/x.toml: is not UTF-8 text")):
        load(folder / "x.toml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[tiktok_shop]\napp_secret = "hush"', "tiktok_shop.app_secret"),
        ('[tiktok_shop]\nrefresh_token = "hush"', "tiktok_shop.refresh_token"),
        ('[catalogs.us]\nsource = "tiktok_shop"\naccess_token = "hush"', "catalogs.us.access_token"),
        ('redis_url = "redis://user:hush@localhost"', "redis_url"),
        ('redis_url = "redis://localhost?password=hush"', "redis_url"),
        ('[catalogs.a]\nsource = "http"\nurl = "http://u:hush@h/x"', "catalogs.a.url"),
    ],
)  # fmt: skip
def test_rejects_a_secret_in_a_file_that_others_can_read(file: Path, text: str, key: str) -> None:
    """The secret is not shown. It is accepted once only the owner can read the file."""
    message = refusal(file, text)
    assert f"{key} is a secret" in message
    assert "chmod 600" in message
    assert "hush" not in message
    file.chmod(0o600)
    assert "hush" not in repr(load(file))


def test_a_mistake_shows_no_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the file or the environment is in the message."""
    monkeypatch.setenv("CATEGORY_PUBLISHER_REDIS_URL", "hppt://user:hush@host")
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP", "hush")
    assert "hush" not in refusal(file, WHOLE)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ('[{"shop_cipher":"x","bad":1}]', "STAND_INS: 0.bad: unknown key"),
        ("[{", "STAND_INS: must be JSON"),
    ],
)
def test_a_mistake_in_json_names_the_variable(
    file: Path, monkeypatch: pytest.MonkeyPatch, value: str, line: str
) -> None:
    """The line has the location within the JSON as well, and not the file."""
    monkeypatch.setenv("CATEGORY_PUBLISHER_CATALOGS__US__STAND_INS", value)
    assert line in refusal(file, WHOLE)


def test_a_consumer_needs_no_other_section(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer ignores mistakes in the publisher's sections.

    They may be in the file or in the environment.
    """
    file.write_text('data_dir = "data"\nlease = 5\n[catalogs.us]\nsource = "ftp"\n')
    monkeypatch.setenv("CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY", "hush")
    settings = load_common(file)
    assert settings.data_dir == file.parent / "data"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("redis_ur = 1", "redis_ur: unknown key (did you mean redis_url?)"),
        ("[catalog.us]", "catalog: unknown key (did you mean catalogs?)"),
        ('redis_url = "http://x"', "redis_url: not a Redis address"),
        (
            '[tiktok_shop]\napp_secret = "hush"',
            "tiktok_shop.app_secret is a secret, but other users",
        ),
    ],
)
def test_a_consumer_checks_its_own_settings(file: Path, text: str, line: str) -> None:
    """Unknown sections and secrets that others can read are mistakes for it too."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_common(file)
    assert str(caught.value).startswith(f"{file}: {line}")
