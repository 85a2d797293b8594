"""The signature that the sandbox expects."""

import orjson
import pytest

from publisher.sandbox.signature import expected_signature, is_same_secret
from tests.support.paths import SHARED_DATA

VECTORS = SHARED_DATA / "sign-vectors.json"


def test_signatures_are_those_of_the_vectors() -> None:
    """Three independent implementations agree on these vectors."""
    if not VECTORS.exists():
        pytest.skip("shared/data/sign-vectors.json is not beside this checkout")
    vectors = orjson.loads(VECTORS.read_bytes())
    assert len(vectors) >= 4
    for vector in vectors:
        body = (vector["body"] or "").encode()
        sign = expected_signature(vector["secret"], vector["path"], vector["query"], body)
        assert sign == vector["sign"], vector["name"]


def test_values_beyond_ascii_can_be_signed_and_compared() -> None:
    """Values are signed as UTF-8, and a wrong one is a difference, not an error."""
    assert len(expected_signature("secret", "/path", {"name": "Café 家"})) == 64
    assert is_same_secret("家", "家")
    assert not is_same_secret("家", "secret")
    assert not is_same_secret("\udcff", "secret")
