"""TikTok Shop's request signature."""

import json
from typing import Any

import pytest

from publisher.sources.tiktok.signature import sign
from tests.support.paths import SHARED_DATA

VECTORS = SHARED_DATA / "sign-vectors.json"


def vectors() -> list[Any]:
    """Return the shared vectors; none if the file is missing."""
    if not VECTORS.exists():
        return []
    found: list[Any] = json.loads(VECTORS.read_text())
    return found


@pytest.mark.skipif(not VECTORS.exists(), reason="shared/data/sign-vectors.json is not here")
@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: str(vector["name"]))
def test_agrees_with_three_other_implementations(vector: dict[str, Any]) -> None:
    """Each signature of the shared vectors is the same."""
    body = (vector["body"] or "").encode()
    assert sign(vector["secret"], vector["path"], vector["query"], body) == vector["sign"]


def test_order_and_unsigned_parameters_do_not_matter() -> None:
    """The parameters are sorted; `sign` and `access_token` are ignored."""
    plain = sign("s", "/p", {"a": "1", "b": "2"})
    assert sign("s", "/p", {"b": "2", "sign": "x", "access_token": "y", "a": "1"}) == plain


@pytest.mark.parametrize(
    "other",
    [
        sign("t", "/p", {"a": "1"}),
        sign("s", "/q", {"a": "1"}),
        sign("s", "/p", {"a": "2"}),
        sign("s", "/p", {"a": "1"}, b"{}"),
    ],
)
def test_everything_else_matters(other: str) -> None:
    """Secret, path, parameters and body each change the signature."""
    assert other != sign("s", "/p", {"a": "1"})
