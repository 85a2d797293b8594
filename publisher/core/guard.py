"""Which snapshots are withheld because their changes look implausible (contract, 6). Pure."""

from dataclasses import dataclass
from fractions import Fraction

from publisher.core.model import Counts


@dataclass(frozen=True)
class Limits:
    """Withhold beyond a share of the state's count *and* a number, of removals or of updates."""

    max_removed_share: float = 0.1
    max_removed: int = 20
    max_updated_share: float = 0.5
    max_updated: int = 100


def hold_reasons(changes: Counts, count: int, limits: Limits) -> list[str]:
    """Return why `changes` of a state of `count` categories are implausible; empty if not.

    A first import adds only, so it is never objected to.
    """
    found = []
    if _beyond(changes.removed, count, limits.max_removed_share, limits.max_removed):
        found.append(
            f"{changes.removed} of {count} categories removed: more than "
            f"{limits.max_removed_share:.4g} of them and more than {limits.max_removed}"
        )
    if _beyond(changes.updated, count, limits.max_updated_share, limits.max_updated):
        found.append(
            f"{changes.updated} of {count} categories updated: more than "
            f"{limits.max_updated_share:.4g} of them and more than {limits.max_updated}"
        )
    return found


def _beyond(number: int, count: int, share: float, limit: int) -> bool:
    exact_share = Fraction(str(share))  # 0.1 is a tenth here, not the binary number next to it
    return number > exact_share * count and number > limit
