"""The types of the contract that consumers need (contract, 1 to 3). Pure."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias


class Category(NamedTuple):
    """One node of the tree, as the source sent it."""

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool


Rows: TypeAlias = Mapping[str, Category]
"""id → category."""


class Snapshot(NamedTuple):
    """A complete state, after the commit of `committed_at` (RFC 3339)."""

    rows: Rows
    committed_at: str


EventType: TypeAlias = Literal["added", "updated", "removed"]


class Checkpoint(NamedTuple):
    """A consumer's position, and the offset after which it reads on.

    The state after event `sequence` of `epoch` has `digest`. The offset is opaque and no part of
    the position.
    """

    epoch: str
    sequence: int
    offset: str
    digest: str

    @property
    def position(self) -> str:
        """The position, formatted like the id of its event (contract, 3)."""
        return format_position(self.epoch, self.sequence, self.digest)


class Event(NamedTuple):
    """A change that happened.

    `category` is the new row, or the last known one of a removed category. `before` is the old
    row, set if and only if `type` is `updated`. `digest` is that of the state after the event,
    `time` that of the commit (RFC 3339), and `offset` the id of the stream entry.
    """

    type: EventType
    category: Category
    before: Category | None
    epoch: str
    sequence: int
    digest: str
    time: str
    offset: str

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of a consumer that has applied this event."""
        return Checkpoint(self.epoch, self.sequence, self.offset, self.digest)


def format_position(epoch: str, sequence: int, digest: str) -> str:
    """Return a position like an event's id: `9f3c1a2b-105-0f1e2d3c4b5a6978`."""
    return f"{epoch}-{sequence}-{digest}"
