"""What a mapping is: an own category, the linked category, and a status. Pure."""

from typing import Final, Literal, NamedTuple, TypeAlias

from consumers.contract.model import Rows

MAX_KEY_LENGTH: Final = 255
"""Maximum characters of an own category's key: what MySQL allows is the limit everywhere."""

State: TypeAlias = Literal["unlinked", "valid", "review", "broken"]


class OwnCategory(NamedTuple):
    """One of the user's own categories. No field is empty; paths have ` > `."""

    key: str
    name: str
    path: str


class LinkedCategory(NamedTuple):
    """The category that the user linked, as it was then (`decided_at`, RFC 3339).

    Only the user's commands write it; events never change it.
    """

    id: str
    local_name: str
    parent_id: str
    path: str
    decided_at: str


class Evaluation(NamedTuple):
    """The state of a mapping and the reason for it; the reason may be empty."""

    state: State
    reason: str


class Status(NamedTuple):
    """An evaluation, with the time (RFC 3339) and event id since when it is the same.

    `since_event` is None if it comes from the user or from a resync.
    """

    state: State
    reason: str
    since: str
    since_event: str | None


class CategoryMapping(NamedTuple):
    """An own category with its link.

    `linked` is None if and only if the state is `unlinked`.
    """

    own: OwnCategory
    linked: LinkedCategory | None
    status: Status


Mappings: TypeAlias = dict[str, CategoryMapping]
"""All mappings of a catalog by the own category's key, sorted by key."""


class Candidate(NamedTuple):
    """A leaf that a mapping could be linked with, and its similarity (0 to 100)."""

    id: str
    path: str
    score: float


class MappingSnapshot(NamedTuple):
    """All mappings of a catalog at one moment, with the tree of their states."""

    mappings: Mappings
    rows: Rows

    @property
    def linked_keys(self) -> dict[str, str]:
        """The own category's key by the id of the linked category."""
        return {each.linked.id: key for key, each in self.mappings.items() if each.linked}
