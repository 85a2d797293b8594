"""The digest of contract 4."""

import hashlib

import pytest
from hypothesis import given

from consumers.contract import digest
from consumers.contract.model import Category
from tests.consumers.event_histories import FORESTS, Forest


@pytest.mark.contract("4")
def test_of_a_category() -> None:
    """The first 8 bytes of SHA-256 over the fields, NUL between them, as an integer."""
    category = Category("600001", "0", "Küche & Home\xa0", is_leaf=False)
    text = "600001\x000\x00Küche & Home\xa0\x000".encode()
    expected = int(hashlib.sha256(text).hexdigest()[:16], 16)
    assert digest.of_category(category) == expected
    assert digest.of_category(category._replace(is_leaf=True)) != expected


@pytest.mark.contract("4")
def test_of_a_state_by_hand() -> None:
    """It is the XOR of the digests of its categories."""
    home, toys = Category("1", "0", "Home", is_leaf=False), Category("2", "1", "Toys", is_leaf=True)
    both = digest.of_category(home) ^ digest.of_category(toys)
    assert digest.of_state([home, toys]) == f"{both:016x}"


@pytest.mark.contract("4")
def test_of_an_empty_state() -> None:
    """Sixteen zeros."""
    assert digest.of_state([]) == "0000000000000000"


@pytest.mark.contract("4")
@given(FORESTS)
def test_a_state_has_one_digest_in_any_order(forest: Forest) -> None:
    """XOR does not depend on the order, and the same row twice cancels out."""
    rows = list(forest.values())
    assert digest.of_state(rows) == digest.of_state(reversed(rows))
    assert digest.of_state(rows + rows) == digest.of_state([])
