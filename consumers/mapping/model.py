"""What a mapping is: an own category, what the user decided for it, and how that stands. Pure."""

from typing import Final, Literal, NamedTuple, TypeAlias

from consumers.contract.model import Rows

KEY: Final = 255
"""Characters of an own category's key at most, in all databases as in MySQL."""

State: TypeAlias = Literal["unlinked", "valid", "review", "broken"]


class Own(NamedTuple):
    """One of the user's own categories. None of its texts is empty; a path is joined with ` > `."""

    key: str
    name: str
    path: str


class Decision(NamedTuple):
    """The category that the user linked, as they saw it when they did (`decided_at`, RFC 3339).

    Only the user writes it; events change nothing in it.
    """

    id: str
    local_name: str
    parent_id: str
    path: str
    decided_at: str


class Finding(NamedTuple):
    """How a mapping stands, and why; the reason is empty where there is nothing to say."""

    state: State
    reason: str


class Status(NamedTuple):
    """A finding, since when (RFC 3339) and since which event (its id) it has been so.

    `since_event` is None if no event told it: the user did, or a resync.
    """

    state: State
    reason: str
    since: str
    since_event: str | None


class Mapping(NamedTuple):
    """An own category; `decision` is None if and only if its state is `unlinked`."""

    own: Own
    decision: Decision | None
    status: Status


Mappings: TypeAlias = dict[str, Mapping]
"""All mappings of a catalog by own key, in the order of the keys as text."""


class Candidate(NamedTuple):
    """A leaf that a mapping could be linked with, and how similar (0 to 100) it is."""

    id: str
    path: str
    score: float


class Atlas(NamedTuple):
    """All mappings of a catalog beside the tree that their states are about."""

    mappings: Mappings
    rows: Rows

    @property
    def linked(self) -> dict[str, str]:
        """Category's id → own key."""
        return {
            mapping.decision.id: key for key, mapping in self.mappings.items() if mapping.decision
        }
