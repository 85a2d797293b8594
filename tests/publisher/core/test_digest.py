"""The digest (contract, 4)."""

from hashlib import sha256

import pytest
from hypothesis import given

from publisher.core import digest
from publisher.core.diff import diff
from publisher.core.model import Category
from tests.support.trees import forests


@pytest.mark.contract("4")
def test_the_digest_of_a_category() -> None:
    """The first 8 bytes of SHA-256 over its fields, separated by NUL, in UTF-8."""
    category = Category("600001", "0", "Käse & Söhne ", is_leaf=True)
    spelled_out = b"600001\x000\x00K\xc3\xa4se & S\xc3\xb6hne \x001"
    assert digest.text(digest.of_category(category)) == sha256(spelled_out).hexdigest()[:16]


@pytest.mark.contract("4")
def test_the_digest_of_an_empty_state() -> None:
    """The digest of an empty state is sixteen zeros."""
    assert digest.text(digest.of([])) == "0000000000000000"


@pytest.mark.contract("4")
@given(forests(), forests())
def test_the_digest_after_each_change_leads_to_that_of_the_state(
    state: dict[str, Category], new: dict[str, Category]
) -> None:
    """XOR takes the old row out and the new row in."""
    value = digest.of(state.values())
    for change in diff(state, new):
        value = digest.after(value, change)
    assert value == digest.of(new.values())
