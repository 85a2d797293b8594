"""What a broken mapping could be linked with now. Pure.

Candidates are not stored but looked for when asked for, so they are always of the tree as it is.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Final

from consumers.mapping.model import Atlas, Candidate, Decision, Mapping
from consumers.mapping.suggest import Leaves
from consumers.mapping.tree import Tree

MOST_SIMILAR: Final = 3
"""How many leaves are named that are only similar; of those below a former leaf all are."""


class Candidates:
    """Finds candidates among the leaves of `atlas` that are not linked."""

    def __init__(self, atlas: Atlas) -> None:
        self.tree = Tree(atlas.rows)
        self._linked = atlas.linked

    @cached_property
    def leaves(self) -> Leaves:
        """The leaves to choose from."""
        return Leaves(self.tree, self._linked.keys())

    def of(self, mapping: Mapping) -> list[Candidate]:
        """Return those of `mapping`: none unless it is broken.

        Of a former leaf that has leaves below it these, the nearest first; else the leaves most
        similar to what the user decided for or to their own category, best first.
        """
        if mapping.status.state != "broken" or mapping.decision is None:
            return []
        below = list(self._below(mapping.decision))
        decision, own = mapping.decision, mapping.own
        return below or self._similar((decision.local_name, decision.path), (own.name, own.path))

    def _below(self, decision: Decision) -> Iterator[Candidate]:
        for leaf in self.tree.leaves_below(decision.id):
            if leaf.id not in self._linked:
                score = self.leaves.score(decision.local_name, decision.path, leaf.id)
                yield Candidate(leaf.id, self.tree.path(leaf.id), score)

    def _similar(self, *sought: tuple[str, str]) -> list[Candidate]:
        best: dict[str, Candidate] = {}
        for name, path in sought:
            for found in self.leaves.similar(name, path, MOST_SIMILAR):
                best[found.id] = max(found, best.get(found.id, found), key=lambda it: it.score)
        return sorted(best.values(), key=lambda it: (-it.score, it.id))[:MOST_SIMILAR]
