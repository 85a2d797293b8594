"""The errors of consumers. Each message says what happened, where, and what to do.

plumbing.errors.Error
├── NoState             no valid state to resync to: a consumer waits, or with --once fails
├── BadEntry            an entry or a row breaks the contract; causes a resync or a wait
├── StoreError          the database refused; unless it is StoreUnavailable, nothing was written
│   ├── CheckpointConflict  another consumer writes to the same copy
│   └── StoreUnavailable    the database is unavailable or busy, and the last commit may be done
│                           or not: a consumer waits, with --once fails
├── NotRecorded         the recorded history does not cover the point that was asked for
├── MappingRejected     a change of the user's mappings is not possible; nothing was written
└── CannotCompare       verify found nothing to compare; exit code 2
    └── PositionMismatch    copy and state are at different positions; a repair helps
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from plumbing.errors import Error

MOST_PROBLEMS: Final = 20
"""So many problems are listed; of the others only the number is given."""


class NoState(Error):
    """Redis holds no state of the catalog, or only a damaged one (contract, 5.7).

    `meta` is the hash as it was read, so that a client notices when it changes; None if it was not
    read.
    """

    def __init__(self, message: str, meta: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__(message)
        self.meta = meta


class BadEntry(Error):
    """JSON in Redis is not a category or an event of the contract (contract, 2 and 3)."""


class StoreError(Error):
    """The database refused: the transaction was rolled back, but see StoreUnavailable."""


class CheckpointConflict(StoreError):
    """The stored checkpoint is not the one that was expected (contract, 5.8)."""


class StoreUnavailable(StoreError):
    """The database is unavailable or too busy, which may be transient.

    If this happens during a commit, it is unknown whether the transaction was committed.
    """


class NotRecorded(Error):
    """The history does not cover a point in time, or there is no history."""


class MappingRejected(Error):
    """A change of mappings is not possible.

    The message is `outcome`, and the problems that prevent the change.
    """

    def __init__(self, outcome: str, problems: Sequence[str]) -> None:
        more = len(problems) - MOST_PROBLEMS
        rest = [f"and {more} more"] if more > 0 else []
        super().__init__("\n".join([f"{outcome}:", *problems[:MOST_PROBLEMS], *rest]))


class CannotCompare(Error):
    """Copy and state cannot be compared."""

    exit_code: ClassVar[int] = 2


class PositionMismatch(CannotCompare):
    """The copy did not reach the state's position in time, or has another epoch."""
