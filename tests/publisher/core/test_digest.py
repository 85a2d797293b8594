"""The digest (contract, 4)."""

from hashlib import sha256

from hypothesis import given

from publisher.core import digest
from publisher.core.diff import diff
from publisher.core.model import Category
from tests.support.trees import forests


def test_of_a_category_by_hand() -> None:
    """It is SHA-256's first 8 bytes over the fields, NULs between them, in UTF-8."""
    category = Category("600001", "0", "Käse & Söhne ", is_leaf=True)
    spelled_out = b"600001\x000\x00K\xc3\xa4se & S\xc3\xb6hne \x001"
    assert digest.text(digest.of_category(category)) == sha256(spelled_out).hexdigest()[:16]


def test_of_an_empty_state() -> None:
    """An empty state has sixteen zeros."""
    assert digest.text(digest.of([])) == "0000000000000000"


@given(forests(), forests())
def test_kept_per_event_equals_computed_anew(
    state: dict[str, Category], new: dict[str, Category]
) -> None:
    """XORing each change out and in leads to the digest of the second tree."""
    kept = digest.of(state.values())
    for change in diff(state, new):
        kept = digest.after(kept, change)
    assert kept == digest.of(new.values())
