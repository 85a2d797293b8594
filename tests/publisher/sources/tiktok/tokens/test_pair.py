"""The pair of tokens: what an answer contains, and when a refresh is due."""

from typing import Any

import pytest

from publisher.errors import SourceError
from publisher.sources.tiktok.tokens.pair import TokenPair

NOW = 1_800_000_000.0
DAY = 24 * 3600
PAIR = TokenPair(access_token="access-0", refresh_token="refresh-0")


def answer(**more: Any) -> dict[str, Any]:
    """Return the `data` of a token answer."""
    return {"access_token": "access-1", "refresh_token": "refresh-1", **more}


@pytest.mark.contract("7")
def test_neither_repr_nor_str_shows_a_token() -> None:
    """A pair may get into a log or a traceback."""
    assert "access-0" not in f"{PAIR!r} {PAIR}"
    assert "refresh-0" not in f"{PAIR!r} {PAIR}"


def test_the_times_of_an_answer_are_absolute() -> None:
    """Unix seconds, which may exceed 32 bits."""
    pair = TokenPair.from_answer(
        answer(access_token_expire_in=int(NOW) + DAY, refresh_token_expire_in=2**33 + 5), NOW
    )
    assert pair.access_token_expires_at == NOW + DAY
    assert pair.refresh_token_expires_at == 2**33 + 5
    assert pair.stored_at == NOW


@pytest.mark.parametrize(
    "expiry", [None, 0, -1, 604800, "soon", 1e300, int(NOW), [], True, 10**400]
)
def test_a_meaningless_time_is_ignored(expiry: Any) -> None:
    """Then error 105002 tells when to refresh; the tokens are used."""
    pair = TokenPair.from_answer(answer(access_token_expire_in=expiry), NOW)
    assert pair.access_token_expires_at is None
    assert not pair.is_due(NOW + 10 * DAY)
    assert not pair.has_expired(NOW + 10 * DAY)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"access_token": "hush"},
        {"refresh_token": "hush"},
        {"access_token": "hush", "refresh_token": ""},
        {"access_token": "hu sh", "refresh_token": "hush"},
        {"access_token": None, "refresh_token": "hush"},
    ],
)
def test_an_answer_without_both_tokens_is_refused(data: Any) -> None:
    """The message quotes nothing of it."""
    with pytest.raises(SourceError, match="token answer") as error:
        TokenPair.from_answer(data, NOW)
    assert "hush" not in str(error.value)


def test_a_token_has_at_most_8192_characters() -> None:
    """As many as fit into a header that servers accept."""
    token = "t" * 8192
    assert TokenPair.from_answer(answer(access_token=token), NOW).access_token == token
    with pytest.raises(SourceError, match=r"access_token: string_too_long\Z"):
        TokenPair.from_answer(answer(access_token=token + "t"), NOW)


@pytest.mark.parametrize(
    ("lifetime", "margin"), [(7 * DAY, DAY), (5 * DAY, DAY), (DAY, DAY / 5), (100, 20)]
)
def test_refresh_is_due_a_day_or_a_fifth_before_the_end(lifetime: int, margin: float) -> None:
    """The shorter of the two."""
    pair = TokenPair.from_answer(answer(access_token_expire_in=int(NOW) + lifetime), NOW)
    assert not pair.is_due(NOW + lifetime - margin - 1)
    assert pair.is_due(NOW + lifetime - margin)
    assert not pair.has_expired(NOW + lifetime - 1)
    assert pair.has_expired(NOW + lifetime)
