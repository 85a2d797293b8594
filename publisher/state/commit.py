"""What one commit writes, and its encoding as the arguments of commit.lua.

The arguments of a first import of 100,000 categories are 55 MB. They are made while they are sent,
so they are never in memory together, and the server reads some while the others are made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from plumbing.redis.lazy_arguments import LazyArguments
from publisher.core import digest as digests
from publisher.core.event import Position, encode, row
from publisher.core.model import Change, Origin

CONTRACT: Final = "1"
"""The version of the contract, as meta has it."""


class StoredPosition(NamedTuple):
    """A position as it is stored in meta; b"" for a field that is absent.

    A commit expects to find it. The digest is part of it because a server that was restored from a
    backup, or a lagging replica that was promoted, may reach the same sequence of the same epoch
    with another history.
    """

    epoch: bytes
    sequence: bytes
    digest: bytes


@dataclass(frozen=True)
class Commit:
    """Everything that one commit writes; its `changes` follow `start`."""

    expected: StoredPosition
    start: Position
    count: int
    """The number of categories after the commit."""
    origin: Origin
    committed_at: str
    changes: Sequence[Change]
    invalid_fields: Sequence[bytes]
    """Fields of the state that hold no valid row; the commit deletes them."""
    max_age_ms: int
    max_events: int


class CommitArguments(LazyArguments):
    """The arguments after `header`: events, rows, removed ids, meta.

    Each iteration yields the same arguments, since redis-py may have to send a command again.
    """

    def __init__(self, catalog: str, commit: Commit) -> None:
        self._catalog = catalog
        self._commit = commit
        self.end = commit.start
        """The catalog's position after the commit; correct once all events were yielded."""
        changes = commit.changes
        self._stored = [each.category for each in changes if each.type != "removed"]
        self._deleted = [each.category.id.encode() for each in changes if each.type == "removed"]
        if commit.invalid_fields:
            replaced = {category.id.encode() for category in self._stored}
            self._deleted += [field for field in commit.invalid_fields if field not in replaced]
        self._counts = (
            len(changes),
            2 * len(self._stored),
            len(self._deleted),
            2 * len(self._meta()),
        )

    @property
    def header(self) -> list[bytes | int]:
        """The first arguments: expected position, limits of the stream, four counts."""
        commit = self._commit
        return [*commit.expected, commit.max_age_ms, commit.max_events, *self._counts]

    def __len__(self) -> int:
        """Return the number of arguments."""
        return sum(self._counts)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arguments."""
        commit = self._commit
        self.end = yield from encode(
            self._catalog, commit.start, commit.committed_at, commit.changes
        )
        for category in self._stored:
            yield category.id.encode()
            yield row(category)
        yield from self._deleted
        for field, value in self._meta().items():
            yield field.encode()
            yield value.encode()

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
