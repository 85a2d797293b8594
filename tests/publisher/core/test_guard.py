"""The guard: which snapshots are held (contract, 6)."""

import pytest

from publisher.core.guard import hold_reasons
from publisher.core.model import Counts
from tests.support.catalogs import make_limits


@pytest.mark.contract("6")
@pytest.mark.contract("5.10")
@pytest.mark.parametrize(
    ("removed", "updated", "count", "held"),
    [
        (20, 0, 100, False),  # 20 are not more than 20
        (21, 0, 100, True),
        (21, 0, 210, False),  # 21 of 210 are a tenth, not more
        (22, 0, 210, True),
        (100, 0, 1000, False),
        (101, 0, 1000, True),
        (50, 0, 1000, False),  # well below the share, far above the number
        (19, 0, 20, False),  # well below the number, far above the share
        (0, 100, 100, False),
        (0, 101, 202, False),
        (0, 101, 201, True),
        (0, 300, 1000, False),
        (0, 99, 100, False),
        (20, 0, 20, False),  # a small tree may lose everything below the number
    ],
)
def test_limits_are_strict(removed: int, updated: int, count: int, *, held: bool) -> None:
    """Neither the share alone nor the number alone holds a snapshot."""
    assert bool(hold_reasons(Counts(0, updated, removed), count, make_limits())) is held


@pytest.mark.contract("6")
def test_a_share_is_the_decimal_that_was_written() -> None:
    """0.07 of 100 is 7, though 0.07 * 100 is 7.000000000000001 in binary."""
    limits = make_limits(max_removed_share=0.07, max_removed=0)
    assert hold_reasons(Counts(removed=8), 100, limits)
    assert not hold_reasons(Counts(removed=7), 100, limits)
    assert hold_reasons(
        Counts(removed=58), 200, make_limits(max_removed_share=0.285, max_removed=0)
    )


@pytest.mark.contract("6")
def test_a_first_import_is_exempt() -> None:
    """Additions are never implausible."""
    assert hold_reasons(Counts(added=200_000), 0, make_limits()) == []


@pytest.mark.contract("6")
def test_each_reason_has_its_numbers() -> None:
    """How many of how many, and both limits."""
    first, second = hold_reasons(Counts(0, 600, 200), 1000, make_limits())
    assert first == "200 of 1000 categories removed: more than 0.1 of them and more than 20"
    assert second == "600 of 1000 categories updated: more than 0.5 of them and more than 100"
