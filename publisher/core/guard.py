"""The guard: decides which snapshots are implausible and held (contract, 6)."""

from fractions import Fraction
from typing import NamedTuple

from publisher.core.model import Counts


class Limits(NamedTuple):
    """The removals and updates that are still plausible.

    A snapshot is held if it exceeds a share of the state's categories *and* a number.
    """

    max_removed_share: float
    max_removed: int
    max_updated_share: float
    max_updated: int


def hold_reasons(changes: Counts, count: int, limits: Limits) -> list[str]:
    """Return why `changes` are implausible; an empty list if they are plausible.

    `count` is the number of categories in the state. A first import only adds categories, so it is
    never held.
    """
    checks = (
        ("removed", changes.removed, limits.max_removed_share, limits.max_removed),
        ("updated", changes.updated, limits.max_updated_share, limits.max_updated),
    )
    return [
        f"{number} of {count} categories {done}: more than {share:.4g} of them "
        f"and more than {limit}"
        for done, number, share, limit in checks
        if _exceeds(number, count, share, limit)
    ]


def _exceeds(number: int, count: int, share: float, limit: int) -> bool:
    exact_share = Fraction(str(share))  # 0.1 is exactly a tenth here, not the nearest binary number
    return number > exact_share * count and number > limit
