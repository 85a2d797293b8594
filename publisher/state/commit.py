"""What one commit writes, as the words of commit.lua. Pure.

A first import of 100,000 categories is 55 MB of words. They are made while they are sent, so they
never stand in memory together, and the server reads while the rest is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from plumbing.redis.lazy_arguments import LazyArguments
from publisher.core import digest as digests
from publisher.core.event import Position, encode, row
from publisher.core.model import Change, Origin

CONTRACT: Final = "1"


class StoredPosition(NamedTuple):
    """What a commit expects to find, as it stands in meta; b"" if absent.

    With the digest: where a server is set back to a backup, or a replica that lags is promoted,
    another history may come to the same sequence of the same epoch.
    """

    epoch: bytes
    sequence: bytes
    digest: bytes


@dataclass(frozen=True)
class Commit:
    """Everything that one commit writes: `changes`, which lead on from `start`."""

    expected: StoredPosition
    start: Position
    count: int
    """Of categories, after it."""
    origin: Origin
    committed_at: str
    changes: Sequence[Change]
    invalid_fields: Sequence[bytes]
    """Fields of the state that hold no row; they go."""
    max_age_ms: int
    max_events: int


class CommitArguments(LazyArguments):
    """The words behind `header`: events, rows, removed ids, meta. Can be gone through again.

    The same words come each time, as it has to be where a command is sent again.
    """

    def __init__(self, catalog: str, commit: Commit) -> None:
        self._catalog = catalog
        self._commit = commit
        self.end = commit.start
        """Where the catalog is after the commit; known once the words are made."""
        changes = commit.changes
        self._kept = [change.category for change in changes if change.type != "removed"]
        self._gone = [change.category.id for change in changes if change.type == "removed"]
        self._invalid_fields = self._unreplaced()
        self._counts = (
            len(changes),
            2 * len(self._kept),
            len(self._gone) + len(self._invalid_fields),
            2 * len(self._meta()),
        )

    @property
    def header(self) -> list[bytes | int]:
        """The words before: what is expected, what the stream keeps, how many words follow."""
        commit = self._commit
        return [*commit.expected, commit.max_age_ms, commit.max_events, *self._counts]

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(self._counts)

    def __iter__(self) -> Iterator[bytes]:
        """Make them."""
        commit = self._commit
        self.end = yield from encode(
            self._catalog, commit.start, commit.committed_at, commit.changes
        )
        for category in self._kept:
            yield category.id.encode()
            yield row(category)
        yield from map(str.encode, self._gone)
        yield from self._invalid_fields
        for field, value in self._meta().items():
            yield field.encode()
            yield value.encode()

    def _unreplaced(self) -> list[bytes]:
        """Return the fields of the invalid_fields that no row takes the place of."""
        if not self._commit.invalid_fields:
            return []
        kept = {category.id.encode() for category in self._kept}
        return [field for field in self._commit.invalid_fields if field not in kept]

    def _meta(self) -> dict[str, str]:
        return {
            "contract": CONTRACT,
            "origin": self._commit.origin.to_json(),
            "epoch": self.end.epoch,
            "sequence": str(self.end.sequence),
            "digest": digests.text(self.end.digest),
            "count": str(self._commit.count),
            "committed_at": self._commit.committed_at,
        }
