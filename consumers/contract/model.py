"""The words of the contract as a consumer needs them (contract, 1 to 3). Pure."""

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
    """A complete state, as the commit of `committed_at` (RFC 3339, of the publisher) left it."""

    rows: Rows
    committed_at: str


EventType: TypeAlias = Literal["added", "updated", "removed"]


class Checkpoint(NamedTuple):
    """How far a consumer is: the state after event `sequence` of `epoch` has `digest`.

    `offset` is where to read on. It is opaque, and no part of where one stands in history.
    """

    epoch: str
    sequence: int
    offset: str
    digest: str

    @property
    def position(self) -> str:
        """Where in history it is, written like the id of its event (contract, 3)."""
        return position(self.epoch, self.sequence, self.digest)


class Event(NamedTuple):
    """A change that happened: `category` is the new one, or of a removal the last known.

    `before` is set if and only if `type` is `updated`; `digest` is the state's after the event;
    `offset` its stream entry's id; `time` its commit's, RFC 3339.
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
        """Where a consumer is that has applied this event."""
        return Checkpoint(self.epoch, self.sequence, self.offset, self.digest)


def position(epoch: str, sequence: int, digest: str) -> str:
    """Write a place in history as an event's id is written: `9f3c1a2b-105-0f1e2d3c4b5a6978`."""
    return f"{epoch}-{sequence}-{digest}"
