"""What can go wrong with a consumer. Each message says what happened, where, and what to do.

plumbing.errors.Error
├── NoState             there is nothing to resync to: a consumer waits, or with --once fails
├── BadEntry            an entry or a row that is not the contract's; leads to a resync or a wait
├── StoreError          the database refused; nothing of the batch was written
│   ├── StoreTaken      another consumer writes to the same copy
│   └── StoreAway       it is away or busy: a consumer waits, or with --once fails
└── CannotCompare       verify found nothing to compare; exit code 2
"""

from collections.abc import Mapping
from typing import ClassVar

from plumbing.errors import Error


class NoState(Error):
    """Redis holds no state of the catalog, or none that is intact (contract, 5.7).

    `meta` is the hash as it was seen, so that a reader can tell when it has changed.
    """

    def __init__(self, message: str, meta: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__(message)
        self.meta = meta or {}


class BadEntry(Error):
    """JSON in Redis that is no category or no event of the contract (contract, 2 and 3)."""


class StoreError(Error):
    """The database cannot be reached, or refused; its transaction was rolled back."""


class StoreTaken(StoreError):
    """The stored checkpoint is not the one that this consumer started from (contract, 5.8)."""


class StoreAway(StoreError):
    """The database is away or too busy, which may pass by itself."""


class CannotCompare(Error):
    """Copy and state cannot be held against each other."""

    exit_code: ClassVar[int] = 2
