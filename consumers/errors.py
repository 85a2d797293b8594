"""What can go wrong with a consumer. Each message says what happened, where, and what to do.

plumbing.errors.Error
├── NoState             there is nothing to resync to: a consumer waits, or with --once fails
├── BadEntry            an entry or a row that is not the contract's; leads to a resync or a wait
├── StoreError          the database refused; nothing of the batch was written
│   ├── StoreTaken      another consumer writes to the same copy
│   └── StoreAway       it is away or busy: a consumer waits, or with --once fails
├── NotRecorded         the history in the database does not reach to where one asks
├── MapRefused          the user's mappings cannot be changed so; nothing was written
└── CannotCompare       verify found nothing to compare; exit code 2
    └── ElsewhereInHistory  the copy is not where the state is; a repair helps
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from plumbing.errors import Error

MOST_PROBLEMS: Final = 20
"""How many are told one by one."""


class NoState(Error):
    """Redis holds no state of the catalog, or none that is intact (contract, 5.7).

    `meta` is the hash as it was seen, so that a reader can tell when it has changed; None if it
    was not.
    """

    def __init__(self, message: str, meta: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__(message)
        self.meta = meta


class BadEntry(Error):
    """JSON in Redis that is no category or no event of the contract (contract, 2 and 3)."""


class StoreError(Error):
    """The database cannot be reached, or refused; its transaction was rolled back."""


class StoreTaken(StoreError):
    """The stored checkpoint is not the one that this consumer started from (contract, 5.8)."""


class StoreAway(StoreError):
    """The database is away or too busy, which may pass by itself."""


class NotRecorded(Error):
    """A moment of which the history has no record, or a catalog of which there is no history."""


class MapRefused(Error):
    """What the user asked for their mappings cannot be: `outcome`, and all that is against it."""

    def __init__(self, outcome: str, problems: Sequence[str]) -> None:
        more = len(problems) - MOST_PROBLEMS
        rest = [f"and {more} more"] if more > 0 else []
        super().__init__("\n".join([f"{outcome}:", *problems[:MOST_PROBLEMS], *rest]))


class CannotCompare(Error):
    """Copy and state cannot be held against each other."""

    exit_code: ClassVar[int] = 2


class ElsewhereInHistory(CannotCompare):
    """The copy does not come to where the state is: it is behind, or of another history."""
